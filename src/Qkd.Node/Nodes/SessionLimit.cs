using Qkd.Link;
using Qkd.Node.Keys;

namespace Qkd.Node.Nodes;

/// <summary>
/// How long Bob waits before he greets Alice again. Every session costs authentication key, and only a block that both then hold gives any
/// back: so sessions without one come ever more slowly, from a quarter of a second to ten minutes, or to an hour where the key runs low.
/// Counted durably before the greeting, so that neither a session cut at once nor a process that ends and starts again comes round it.
/// </summary>
internal sealed class SessionLimit : IDisposable
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan LongestWhenLow = TimeSpan.FromHours(1);

    private readonly NodeKeys _keys;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private int _fruitless;
    private DateTimeOffset? _last;

    /// <summary>Takes up what the last process left.</summary>
    public SessionLimit(NodeKeys keys, TimeProvider time)
    {
        (_keys, _time) = (keys, time);
        (_fruitless, var last) = keys.Attempts;
        _last = last == DateTimeOffset.UnixEpoch && _fruitless == 0 ? null : last;
        keys.BlockConfirmed += Reset;
    }

    /// <summary>How long to wait, from now, before the next session may begin.</summary>
    public TimeSpan Wait()
    {
        lock (_gate)
        {
            if (_last is not { } last)
            {
                return TimeSpan.Zero;
            }

            // Also where the clock was set back: never longer than the whole.
            var whole = Whole();
            var left = last + whole - _time.GetUtcNow();
            return left < TimeSpan.Zero ? TimeSpan.Zero : left < whole ? left : whole;
        }
    }

    /// <summary>A session is about to begin.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            _keys.RecordAttempts(++_fruitless);
            _last = _time.GetUtcNow();
        }
    }

    /// <summary>The session has ended: the wait counts from now.</summary>
    public void End()
    {
        lock (_gate)
        {
            _last = _time.GetUtcNow();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _keys.BlockConfirmed -= Reset;

    private TimeSpan Whole()
    {
        var longest = _keys.AuthenticationIsLow ? LongestWhenLow : Longest;
        var doubled = First * Math.Pow(2, Math.Clamp(_fruitless - 1, 0, 20));
        return doubled < longest ? doubled : longest;
    }

    /// <summary>A block came of it: the next cut is a rare one again.</summary>
    private void Reset()
    {
        lock (_gate)
        {
            if (_fruitless > 0)
            {
                _fruitless = 0;
                try
                {
                    _keys.RecordAttempts(0);
                }
                catch (LinkException)
                {
                    // After a restart the next session waits longer than it need.
                }
            }
        }
    }
}

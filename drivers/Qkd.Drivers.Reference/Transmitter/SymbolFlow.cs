using Qkd.Devices;

namespace Qkd.Drivers.Reference.Transmitter;

/// <summary>
/// The symbols, or seeds, of one CONFIGURE: how many have been sent and how many may be. It ends once and for all when the instrument
/// forgets them; a new CONFIGURE begins a new flow. For one sender at a time; everything else from any thread.
/// </summary>
internal sealed class SymbolFlow(ModulationPlan plan)
{
    private readonly Lock _gate = new();
    private long _credit;
    private Func<Exception>? _end;
    private TaskCompletionSource? _changed;

    /// <summary>What was configured.</summary>
    public ModulationPlan Plan { get; } = plan;

    /// <summary>Slots or seeds sent; the sender's own.</summary>
    public long Sent { get; set; }

    /// <summary>Frame of the seed that must follow; null before the first. The sender's own.</summary>
    public long? NextFrame { get; set; }

    /// <summary>Takes a CREDIT: the total that may have been sent.</summary>
    public void Grant(long total)
    {
        lock (_gate)
        {
            _credit = Math.Max(_credit, total);
            _changed?.TrySetResult();
        }
    }

    /// <summary>Ends the flow; false if it had ended.</summary>
    /// <param name="reason">Makes what everyone gets who sends from now on.</param>
    public bool End(Func<Exception> reason)
    {
        lock (_gate)
        {
            if (_end is not null)
            {
                return false;
            }

            _end = reason;
            _changed?.TrySetResult();
            return true;
        }
    }

    /// <summary>Throws if the flow has ended.</summary>
    public void ThrowIfEnded()
    {
        lock (_gate)
        {
            if (_end is not null)
            {
                throw _end();
            }
        }
    }

    /// <summary>Waits until at least so many may be sent, and says how many may.</summary>
    public async ValueTask<long> WaitForCreditAsync(int least, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (_end is not null)
                {
                    throw _end();
                }

                if (_credit - Sent >= least)
                {
                    return _credit - Sent;
                }

                _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}

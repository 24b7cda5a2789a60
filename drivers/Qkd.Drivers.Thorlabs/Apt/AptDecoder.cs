namespace Qkd.Drivers.Thorlabs.Apt;

/// <summary>
/// Cuts the received bytes into frames. Bytes where no frame can begin are passed over one by one: an MPC320 sometimes puts stray
/// zeros between frames. Keeps the bytes of an unfinished frame between calls.
/// </summary>
internal sealed class AptDecoder
{
    private const int SampleLength = 16;
    private readonly List<byte> _sample = [];
    private byte[] _buffer = new byte[4096];
    private int _start;
    private int _end;

    /// <summary>Bytes passed over that were not stray zeros.</summary>
    public long Unintelligible { get; private set; }

    /// <summary>The first unintelligible bytes, and what waits for the rest of a frame, in hex, for messages.</summary>
    public string Heard => Convert.ToHexString([.. _sample, .. _buffer.AsSpan(_start, Math.Min(_end - _start, SampleLength))]);

    /// <summary>Whether the rest of a frame is missing.</summary>
    public bool IsWithinFrame => _end > _start;

    /// <summary>Forgets the beginning of a frame whose rest will not come.</summary>
    public void Drop() => _start = _end;

    /// <summary>Takes received bytes.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (_end + bytes.Length > _buffer.Length)
        {
            var kept = _buffer.AsSpan(_start, _end - _start);
            if (kept.Length + bytes.Length > _buffer.Length)
            {
                var larger = new byte[Math.Max(2 * _buffer.Length, kept.Length + bytes.Length)];
                kept.CopyTo(larger);
                _buffer = larger;
            }
            else
            {
                kept.CopyTo(_buffer);
            }

            (_start, _end) = (0, _end - _start);
        }

        bytes.CopyTo(_buffer.AsSpan(_end));
        _end += bytes.Length;
    }

    /// <summary>The next complete frame, or null.</summary>
    public AptFrame? Next()
    {
        while (true)
        {
            var length = AptFrame.TryRead(_buffer.AsSpan(_start, _end - _start), out var frame);
            if (length == 0)
            {
                return null;
            }

            if (length > 0)
            {
                _start += length;
                return frame;
            }

            var skipped = _buffer[_start++];
            if (skipped != 0)
            {
                Unintelligible++;
                if (_sample.Count < SampleLength)
                {
                    _sample.Add(skipped);
                }
            }
        }
    }
}

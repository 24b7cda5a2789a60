namespace Qkd.Sim.Optics;

/// <summary>Click times of the four detectors, as <see cref="OpticalLine"/> gives them. Reused from stretch to stretch; one thread.</summary>
public sealed class ClickBuffer
{
    private readonly long[][] _times = [new long[4096], new long[4096], new long[4096], new long[4096]];
    private readonly int[] _counts = new int[OpticalLine.DetectorCount];

    /// <summary>
    /// All clicks before this bench time, in picoseconds, have been given; later ones may follow with the next stretch. It lies behind
    /// the end of the stretch's arrival (emission plus delay) by half a slot, or nine standard deviations of the jitter if that is more.
    /// </summary>
    public long CompleteBeforePicoseconds { get; internal set; }

    /// <summary>Clicks held, all detectors.</summary>
    public int Count => _counts[0] + _counts[1] + _counts[2] + _counts[3];

    /// <summary>Click times of a detector (0 to 3: H, V, D, A) in bench picoseconds, ascending.</summary>
    public ReadOnlySpan<long> Times(int detector) => _times[detector].AsSpan(0, _counts[detector]);

    /// <summary>Forgets the clicks.</summary>
    public void Clear() => Array.Clear(_counts);

    /// <summary>Room for so many more clicks of a detector; what is used of it is told to <see cref="Advance"/>.</summary>
    internal Span<long> Reserve(int detector, int room)
    {
        var needed = _counts[detector] + room;
        if (needed > _times[detector].Length)
        {
            Array.Resize(ref _times[detector], Math.Max(needed, 2 * _times[detector].Length));
        }

        return _times[detector].AsSpan(_counts[detector]);
    }

    internal void Advance(int detector, int used) => _counts[detector] += used;
}

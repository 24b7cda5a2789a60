namespace Qkd.Sim.Optics;

/// <summary>
/// Counters of emitted symbols and of the clicks in their slots. A symbol is intensity index (0 to 3), basis (0 = Z, 1 = X) and bit;
/// detectors are 0 to 3: H (Z, 0), V (Z, 1), D (X, 0), A (X, 1). Clicks are single detectors' clicks: what a receiver makes of several in
/// one slot is its own affair.
/// </summary>
public sealed class TruthCounters
{
    internal const int SymbolKinds = 16;
    internal const int MissedCells = 4 * SymbolKinds;
    internal const int DetectorCells = 5 * SymbolKinds;
    internal const int EmittedCells = OpticalLine.DetectorCount * DetectorCells;
    internal const int CellCount = EmittedCells + SymbolKinds;

    private readonly long[] _cells = new long[CellCount];

    internal Span<long> Cells => _cells;

    /// <summary>Pulses sent with this symbol.</summary>
    public long Emitted(int intensity, int basis, int bit) => _cells[EmittedCells + SymbolOf(intensity, basis, bit)];

    /// <summary>Pulses sent with this intensity in this basis.</summary>
    public long Emitted(int intensity, int basis) => Emitted(intensity, basis, 0) + Emitted(intensity, basis, 1);

    /// <summary>Clicks of a detector in slots of this symbol, for one reason.</summary>
    public long Clicks(int intensity, int basis, int bit, int detector, ClickCause cause) =>
        _cells[(detector * DetectorCells) + ((int)cause * SymbolKinds) + SymbolOf(intensity, basis, bit)];

    /// <summary>Clicks of a detector in slots of this symbol, for any reason.</summary>
    public long Clicks(int intensity, int basis, int bit, int detector) =>
        Clicks(intensity, basis, bit, detector, ClickCause.Signal) + Clicks(intensity, basis, bit, detector, ClickCause.Resent)
        + Clicks(intensity, basis, bit, detector, ClickCause.Dark) + Clicks(intensity, basis, bit, detector, ClickCause.Afterpulse);

    /// <summary>Light at a detector in slots of this symbol that would have clicked but for the dead time.</summary>
    public long Missed(int intensity, int basis, int bit, int detector) =>
        _cells[(detector * DetectorCells) + MissedCells + SymbolOf(intensity, basis, bit)];

    /// <summary>Clicks of this intensity in which the basis sent is the basis of the detector.</summary>
    public long Matched(int intensity, int basis) =>
        Clicks(intensity, basis, 0, 2 * basis) + Clicks(intensity, basis, 0, (2 * basis) + 1)
        + Clicks(intensity, basis, 1, 2 * basis) + Clicks(intensity, basis, 1, (2 * basis) + 1);

    /// <summary>Those of <see cref="Matched"/> in the detector of the other bit.</summary>
    public long Errors(int intensity, int basis) =>
        Clicks(intensity, basis, 0, (2 * basis) + 1) + Clicks(intensity, basis, 1, 2 * basis);

    /// <summary>All clicks for one reason.</summary>
    public long Clicks(ClickCause cause)
    {
        var sum = 0L;
        for (var detector = 0; detector < OpticalLine.DetectorCount; detector++)
        {
            foreach (var clicks in _cells.AsSpan((detector * DetectorCells) + ((int)cause * SymbolKinds), SymbolKinds))
            {
                sum += clicks;
            }
        }

        return sum;
    }

    /// <summary>Cell of a click.</summary>
    internal static int Cell(int detector, ClickCause cause, int symbol) => (detector * DetectorCells) + ((int)cause * SymbolKinds) + symbol;

    internal void Add(ReadOnlySpan<int> cells)
    {
        for (var i = 0; i < cells.Length; i++)
        {
            _cells[i] += cells[i];
        }
    }

    internal void Add(ReadOnlySpan<long> cells)
    {
        for (var i = 0; i < cells.Length; i++)
        {
            _cells[i] += cells[i];
        }
    }

    private static int SymbolOf(int intensity, int basis, int bit)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)intensity, 3u, nameof(intensity));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)basis, 1u, nameof(basis));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)bit, 1u, nameof(bit));
        return bit | basis << 1 | intensity << 2;
    }
}

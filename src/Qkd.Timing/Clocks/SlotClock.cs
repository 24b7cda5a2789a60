using System.Runtime.InteropServices;

namespace Qkd.Timing.Clocks;

/// <summary>
/// Where the sender's slots lie in the receiver's clock around one instant: position(t) = slot + fraction + f (t - time) + ½ d (t - time)².
/// A whole position is the centre of a slot's arrivals.
/// </summary>
/// <param name="Time">The instant, in picoseconds of the receiver's clock.</param>
/// <param name="Slot">Whole slots at that instant.</param>
/// <param name="Fraction">And the rest of the position, 0 to 1.</param>
/// <param name="SlotsPerPicosecond">f: slots that pass in a picosecond of the receiver's clock.</param>
/// <param name="Drift">d: how f changes, in slots per picosecond squared.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct SlotClock(long Time, long Slot, double Fraction, double SlotsPerPicosecond, double Drift)
{
    /// <summary>Length of a slot in picoseconds of the receiver's clock.</summary>
    public double PeriodPicoseconds => 1 / SlotsPerPicosecond;

    /// <summary>Deviation of the period from a nominal one, in parts per million: positive if the receiver's clock is fast.</summary>
    public double DeviationPpm(double nominalPeriodPicoseconds) => ((PeriodPicoseconds / nominalPeriodPicoseconds) - 1) * 1e6;

    /// <summary>Drift of the period in parts per million a second.</summary>
    public double DriftPpmPerSecond => -Drift / SlotsPerPicosecond * 1e18;

    /// <summary>Slots since <see cref="Slot"/> at a time; exact to 10^-6 slots within 10^9 slots of <see cref="Time"/>, however long the clock has been running.</summary>
    public double Since(long time) => After(time - Time);

    /// <summary>The nearest slot of a time and by how much the time is late, in slots, -½ to ½.</summary>
    public (long Slot, double Late) At(long time) => Nearest(Since(time));

    /// <inheritdoc cref="At(long)"/>
    /// <remarks>Above 2^53 ps, two and a half hours, a double is coarser than a picosecond.</remarks>
    public (long Slot, double Late) At(double time) => Nearest(After(time - Time));

    /// <summary>The same clock, described around another instant.</summary>
    public SlotClock MovedTo(long time)
    {
        var since = Since(time);
        var whole = Math.Floor(since);
        return this with { Time = time, Slot = Slot + (long)whole, Fraction = since - whole, SlotsPerPicosecond = SlotsPerPicosecond + (Drift * (time - Time)) };
    }

    /// <summary>The same clock with its slots numbered anew.</summary>
    public SlotClock Renumbered(long bySlots) => this with { Slot = Slot + bySlots };

    /// <summary>A clock that counts so many slots for each of this one's: from markers to the slots between them.</summary>
    public SlotClock Subdivided(int slots)
    {
        var fraction = Fraction * slots;
        var whole = Math.Floor(fraction);
        return new(Time, (Slot * slots) + (long)whole, fraction - whole, SlotsPerPicosecond * slots, Drift * slots);
    }

    private double After(double picoseconds) => Fraction + (picoseconds * (SlotsPerPicosecond + (0.5 * Drift * picoseconds)));

    private (long Slot, double Late) Nearest(double since)
    {
        var whole = Math.Round(since);
        return (Slot + (long)whole, since - whole);
    }
}

using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Qkd.Timing.Clocks;

namespace Qkd.Timing.Gating;

/// <summary>One detector's channel and gate.</summary>
/// <param name="Channel">Its channel in the stream, 1 to 127.</param>
/// <param name="DelayPicoseconds">How much later than the others its clicks come: subtracted from its times.</param>
/// <param name="WindowPicoseconds">Full width of the window around a slot's centre in which its clicks count.</param>
public sealed record GateChannel(byte Channel, double DelayPicoseconds, double WindowPicoseconds);

/// <summary>
/// Gives every tag its slot, says whether it lies within its detector's window, and counts it in the arrival histogram: the step every tag of a
/// receiver goes through. Tags of other channels pass without a mark.
/// </summary>
/// <remarks>
/// The vector path takes four tags at a time and does, operation by operation, what the plain one does, so both give the same to the last bit.
/// </remarks>
public sealed class SlotGate
{
    /// <summary>Mark of a click outside its detector's window; detector d within its own has the mark 1 &lt;&lt; d.</summary>
    public const byte Outside = SlotMap.OutsideGate;

    /// <summary>Detectors at most: their marks and <see cref="Outside"/> share a byte.</summary>
    public const int MostDetectors = 4;

    /// <summary>Slots that one call may span; well below what 32 bits hold.</summary>
    private const double MostSlots = 1e9;

    private static readonly Vector256<long> Exponent = Vector256.Create(0x4330000000000000L);
    private static readonly Vector256<double> TwoTo52 = Vector256.Create(4503599627370496.0);

    // For each of 256 channels: delay and half window in slots, first histogram cell; the mark outside and the mark within.
    private readonly double[] _delays = new double[256];
    private readonly double[] _halves = new double[256];
    private readonly int[] _rows = new int[256];
    private readonly byte[] _marks = new byte[512];
    private readonly GateChannel[] _channels;
    private double _scaledFor;

    /// <summary>Creates a gate.</summary>
    /// <param name="channels">The detectors in the order of their marks, at most <see cref="MostDetectors"/>.</param>
    /// <param name="bins">Bins a slot of the arrival histograms.</param>
    /// <exception cref="ArgumentException">Two detectors share a channel, there are too many, or a number is out of range.</exception>
    public SlotGate(IReadOnlyList<GateChannel> channels, int bins = 512)
    {
        ArgumentNullException.ThrowIfNull(channels);
        if (channels.Count is < 1 or > MostDetectors || channels.Select(c => c.Channel).Distinct().Count() != channels.Count)
        {
            throw new ArgumentException($"One to {MostDetectors} detectors are needed, each on a channel of its own.", nameof(channels));
        }

        if (channels.Any(c => c.Channel is 0 or > 127 || !double.IsFinite(c.DelayPicoseconds) || !(c.WindowPicoseconds > 0)))
        {
            throw new ArgumentException("A detector has a channel of 1 to 127, a finite delay and a window wider than nothing.", nameof(channels));
        }

        _channels = [.. channels];
        Arrivals = new ArrivalHistogram(channels.Count, bins);
        _rows.AsSpan().Fill(channels.Count * bins);
        foreach (var (detector, channel) in channels.Index())
        {
            _rows[channel.Channel] = detector * bins;
            _marks[channel.Channel] = Outside;
            _marks[256 + channel.Channel] = (byte)(1 << detector);
        }
    }

    /// <summary>When clicks come within a slot, by detector.</summary>
    public ArrivalHistogram Arrivals { get; }

    /// <summary>Corrects the delay of a detector, 0 for the first of those given.</summary>
    public void SetDelay(int detector, double picoseconds)
    {
        _channels[detector] = _channels[detector] with { DelayPicoseconds = picoseconds };
        _scaledFor = 0;
    }

    /// <summary>Places tags.</summary>
    /// <param name="times">Times in ticks, ascending.</param>
    /// <param name="channels">The channel of each.</param>
    /// <param name="tickPicoseconds">Picoseconds a tick.</param>
    /// <param name="clock">Where slots lie around these times.</param>
    /// <param name="slots">Receives, for each tag, its slot counted from the first slot that is returned.</param>
    /// <param name="marks">Receives, for each tag, 0 if its channel is no detector's, its detector's mark or <see cref="Outside"/>.</param>
    /// <returns>The slot that <paramref name="slots"/> count from.</returns>
    /// <exception cref="ArgumentException">The spans do not fit together, or the tags span more than 10^9 slots.</exception>
    public long Place(ReadOnlySpan<long> times, ReadOnlySpan<byte> channels, double tickPicoseconds, in SlotClock clock, Span<int> slots, Span<byte> marks) =>
        Place(times, channels, tickPicoseconds, clock, slots, marks, Vector256.IsHardwareAccelerated);

    /// <summary>The plain twin of <see cref="Place(ReadOnlySpan{long}, ReadOnlySpan{byte}, double, in SlotClock, Span{int}, Span{byte})"/>.</summary>
    internal long PlacePlainly(ReadOnlySpan<long> times, ReadOnlySpan<byte> channels, double tickPicoseconds, in SlotClock clock, Span<int> slots, Span<byte> marks) =>
        Place(times, channels, tickPicoseconds, clock, slots, marks, vectors: false);

    private long Place(
        ReadOnlySpan<long> times, ReadOnlySpan<byte> channels, double tickPicoseconds, in SlotClock clock, Span<int> slots, Span<byte> marks, bool vectors)
    {
        if (channels.Length != times.Length || slots.Length < times.Length || marks.Length < times.Length)
        {
            throw new ArgumentException("Each tag has a channel, and room for a slot and a mark.", nameof(channels));
        }

        if (times.Length == 0)
        {
            return clock.Slot;
        }

        // From the first tag on all offsets are positive and small, and doubles exact to far below a picosecond. The first tag's own time is not:
        // whole and broken picoseconds of a tick are taken apart, since after hours a double alone would be off by picoseconds.
        var wholeTick = (long)Math.Floor(tickPicoseconds);
        var broken = times[0] * (tickPicoseconds - wholeTick);
        var here = clock.MovedTo((times[0] * wholeTick) + (long)Math.Floor(broken));
        var rest = broken - Math.Floor(broken);
        var grid = new Grid(
            here.Fraction + (rest * here.SlotsPerPicosecond),
            here.SlotsPerPicosecond * tickPicoseconds,
            0.5 * here.Drift * tickPicoseconds * tickPicoseconds);
        if (!(Math.Abs((times[^1] - times[0]) * grid.Slope) < MostSlots) || times[^1] < times[0])
        {
            throw new ArgumentException("The tags of one call must ascend, and span fewer than 10^9 slots.", nameof(times));
        }

        Scale(here.SlotsPerPicosecond);
        var done = vectors ? PlaceVectors(times, channels, grid, slots, marks) : 0;
        PlaceRest(times, channels, grid, slots, marks, done);
        Arrivals.Settle();
        return here.Slot;
    }

    /// <summary>Delays and windows in slots of the present length.</summary>
    private void Scale(double slotsPerPicosecond)
    {
        if (slotsPerPicosecond == _scaledFor)
        {
            return;
        }

        foreach (var channel in _channels)
        {
            _delays[channel.Channel] = channel.DelayPicoseconds * slotsPerPicosecond;
            _halves[channel.Channel] = channel.WindowPicoseconds / 2 * slotsPerPicosecond;
        }

        _scaledFor = slotsPerPicosecond;
    }

    private void PlaceRest(ReadOnlySpan<long> times, ReadOnlySpan<byte> channels, in Grid grid, Span<int> slots, Span<byte> marks, int from)
    {
        var (first, bins) = (times[0], Arrivals.Bins);
        var cells = Arrivals.Cells;
        for (var i = from; i < times.Length; i++)
        {
            var channel = channels[i];
            double dt = times[i] - first;
            var position = (grid.Start - _delays[channel]) + (dt * (grid.Slope + (grid.Bend * dt)));
            var whole = Math.Floor(position + 0.5);
            var late = position - whole;
            slots[i] = (int)whole;
            marks[i] = _marks[(Math.Abs(late) <= _halves[channel] ? 256 : 0) + channel];
            cells[_rows[channel] + Math.Min((int)((late + 0.5) * bins), bins - 1)]++;
        }
    }

    private int PlaceVectors(ReadOnlySpan<long> times, ReadOnlySpan<byte> channels, in Grid grid, Span<int> slots, Span<byte> marks)
    {
        var first = Vector256.Create(times[0]);
        var (slope, bend, start) = (Vector256.Create(grid.Slope), Vector256.Create(grid.Bend), Vector256.Create(grid.Start));
        var half = Vector256.Create(0.5);
        var bins = Vector256.Create((double)Arrivals.Bins);
        var lastBin = Vector128.Create(Arrivals.Bins - 1);
        ref var time = ref MemoryMarshal.GetReference(times);
        ref var slot = ref MemoryMarshal.GetReference(slots);
        ref var delay = ref MemoryMarshal.GetArrayDataReference(_delays);
        ref var window = ref MemoryMarshal.GetArrayDataReference(_halves);
        var (rows, markTable) = (_rows, _marks);
        var cells = Arrivals.Cells;
        var i = 0;
        for (; i + 4 <= times.Length; i += 4)
        {
            int c0 = channels[i], c1 = channels[i + 1], c2 = channels[i + 2], c3 = channels[i + 3];
            var since = Vector256.LoadUnsafe(ref time, (nuint)i) - first;

            // A whole number below 2^52 in the low bits of a double whose exponent is that of 2^52.
            var dt = (since | Exponent).AsDouble() - TwoTo52;
            var position = (start - Pick(ref delay, c0, c1, c2, c3)) + (dt * (slope + (bend * dt)));
            var whole = Vector256.Floor(position + half);
            var late = position - whole;
            var inside = Vector256.LessThanOrEqual(Vector256.Abs(late), Pick(ref window, c0, c1, c2, c3)).ExtractMostSignificantBits();
            ToInt32(whole).StoreUnsafe(ref slot, (nuint)i);
            var bin = Vector128.Min(ToInt32((late + half) * bins), lastBin);
            marks[i] = markTable[((int)(inside & 1) << 8) + c0];
            marks[i + 1] = markTable[((int)(inside & 2) << 7) + c1];
            marks[i + 2] = markTable[((int)(inside & 4) << 6) + c2];
            marks[i + 3] = markTable[((int)(inside & 8) << 5) + c3];
            cells[rows[c0] + bin.GetElement(0)]++;
            cells[rows[c1] + bin.GetElement(1)]++;
            cells[rows[c2] + bin.GetElement(2)]++;
            cells[rows[c3] + bin.GetElement(3)]++;
        }

        return i;
    }

    private static Vector256<double> Pick(ref double table, int c0, int c1, int c2, int c3) => Vector256.Create(
        Unsafe.Add(ref table, c0),
        Unsafe.Add(ref table, c1),
        Unsafe.Add(ref table, c2),
        Unsafe.Add(ref table, c3));

    /// <summary>Towards zero, as a cast does.</summary>
    private static Vector128<int> ToInt32(Vector256<double> values) => Avx.IsSupported
        ? Avx.ConvertToVector128Int32WithTruncation(values)
        : Vector128.Create((int)values.GetElement(0), (int)values.GetElement(1), (int)values.GetElement(2), (int)values.GetElement(3));

    /// <summary>position(dt) = start + dt (slope + bend dt), in slots and ticks.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Grid(double Start, double Slope, double Bend);
}

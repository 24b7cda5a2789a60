using Qkd.Devices;
using Qkd.Sim.Optics;
using Qkd.Timing;
using Qkd.Timing.Clocks;
using Qkd.Timing.Correlation;
using Qkd.Timing.Formats;
using Qkd.Timing.Gating;

namespace Qkd.Cli.Benchmarking;

/// <summary>The tag engine: decoding, gating, coincidences, and the search for a sender's clock.</summary>
internal sealed class TimingStage : IBenchmarkStage
{
    /// <summary>Clicks a second of the streams: what a fast link gives.</summary>
    private const double Hertz = 1e6;

    private const int Records = 1 << 21;
    private const int Tags = 1 << 20;
    private const int FrameSlots = 1_000_000;
    private const int PilotSlots = 4096;

    public string Name => "timing";

    public IEnumerable<BenchmarkFigure> Measure(TimeSpan time, CancellationToken cancellationToken)
    {
        var records = DrawRecords();
        var layout = PicoQuantLayout.Of((long)PicoQuantRecordType.HydraHarpV2T2)!;
        var buffer = new TagBuffer();
        var decode = Measuring.Seconds(time, () => Decode(records, layout, buffer, static _ => { }), cancellationToken);
        yield return new("ptu_decode_mrps", Records / decode / 1e6, "M records/s", "HydraHarp V2 T2 records of 1 Mcps from memory, one overflow record in thirty");

        var gate = new SlotGate([new(1, 0, 2000), new(2, 120, 2000), new(3, -80, 1500), new(4, 40, 2500)]);
        var (slots, marks) = (new int[buffer.Capacity], new byte[buffer.Capacity]);
        var clock = new SlotClock(0, 0, 0.2, 1 / 10_000.2, 1e-26);
        long tags = 0;
        Decode(records, layout, buffer, decoded => tags += decoded.Count);
        var gated = Measuring.Seconds(
            time,
            () => Decode(records, layout, buffer, decoded => gate.Place(decoded.Times, decoded.Channels, 1, clock, slots, marks)),
            cancellationToken);
        yield return new("gate_mtps", tags / gated / 1e6, "M tags/s", "the same decoded, given their slots, gated and counted in arrival histograms");

        var (first, second) = DrawPairs();
        var coincidences = Measuring.Seconds(time, () => Coincidences.Count(first, second, 500), cancellationToken);
        yield return new("coincidence_mtps", (first.Length + second.Length) / coincidences / 1e6, "M tags/s", "two channels of 1 Mcps, one tag in ten with a partner, window 1 ns");

        var clicks = DrawLink();
        var search = Measuring.Seconds(time, () => Search(clicks), cancellationToken);
        yield return new("sync_search_s", search, "s", FormattableString.Invariant($"1 s of {clicks.Times.Length / 1e6:0.00} Mcps at 37 ppm, found within ±55 ppm, numbered anywhere in 16 frames, and followed"));
    }

    private static void Decode(uint[] records, PicoQuantLayout layout, TagBuffer buffer, Action<TagBuffer> with)
    {
        var decoder = new PicoQuantDecoder(layout);
        for (var rest = records.AsSpan(); rest.Length > 0;)
        {
            buffer.Count = 0;
            rest = rest[decoder.Decode(rest, buffer, out _)..];
            with(buffer);
        }
    }

    private static void Search(Clicks clicks)
    {
        var clock = new SignalClock(new SignalClockSettings { FrameSlots = FrameSlots, PilotSlots = PilotSlots });
        clock.Add(clicks.Times, clicks.Detectors);
        if (clock.State != ClockState.Locked)
        {
            throw new InvalidOperationException("The benchmark's own clock was not found.");
        }
    }

    private static uint[] DrawRecords()
    {
        const long wrap = 33_554_432;
        var random = new Random(1);
        var records = new uint[Records];
        double time = 0;
        long wraps = 0;
        for (var i = 0; i < records.Length;)
        {
            time += Exponential(random, 1e12 / Hertz);
            var tick = (long)time;
            for (; tick / wrap > wraps && i < records.Length; wraps++)
            {
                records[i++] = 0xFE00_0001;
            }

            if (i < records.Length)
            {
                records[i++] = (uint)random.Next(4) << 25 | (uint)(tick % wrap);
            }
        }

        return records;
    }

    private static (long[] First, long[] Second) DrawPairs()
    {
        var random = new Random(2);
        var (first, second) = (new List<long>(Tags), new List<long>(Tags));
        for (double time = 0; first.Count < Tags; time += Exponential(random, 1e12 / Hertz / 1.9))
        {
            // Of nineteen moments one has a tag in both channels, the others in one of them: a tag in ten has a partner.
            var kind = random.Next(19);
            if (kind < 10)
            {
                first.Add((long)time);
            }

            if (kind >= 9)
            {
                second.Add((long)time + random.Next(-100, 100));
            }
        }

        second.Sort();
        return ([.. first], [.. second]);
    }

    private static Clicks DrawLink()
    {
        var pilots = new Dictionary<long, ulong[]>();
        return new ClickSource(
            new ClickSourceSettings
            {
                Intensity = Intensity,
                LossDecibels = 14.35,
                FirstSlot = 7_654_321,
                ArrivalPicoseconds = 1e9,
                DeviationPpm = 37,
                DriftPpmPerSecond = 0.2,
            },
            3).Draw(1);

        int Intensity(long slot)
        {
            var frame = Math.DivRem(slot, FrameSlots, out var within);
            if (within >= PilotSlots)
            {
                return (slot * 2_654_435_761 >> 16 & 15) switch { < 8 => 0, < 13 => 1, _ => 2 };
            }

            if (!pilots.TryGetValue(frame, out var packed))
            {
                Pilot.Fill(frame, 2, packed = new ulong[PackedSymbols.WordCount(PilotSlots)]);
                pilots[frame] = packed;
            }

            return PackedSymbols.Read(packed, (int)within).Intensity;
        }
    }

    private static double Exponential(Random random, double mean) => -mean * Math.Log(1 - random.NextDouble());
}

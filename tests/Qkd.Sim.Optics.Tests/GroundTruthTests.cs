using Shouldly;

namespace Qkd.Sim.Optics.Tests;

public sealed class GroundTruthTests
{
    private static OpticsSettings Framed => new()
    {
        Truth = new() { FrameSlots = 100_032, PilotSlots = 4096, FramesKept = 20 },
        Detectors = [.. Enumerable.Repeat(new DetectorSettings { DarkCountsPerSecond = 1e6, AfterpulseProbability = 0.05, JitterPicoseconds = 1500 }, 4)],
    };

    [Fact]
    public void Log_and_counters_and_clicks_tell_the_same()
    {
        var emission = new Emission(Framed, 3, stretch: 6400);
        var truth = emission.Truth;
        var payload = new long[TruthCounters.CellCount];
        var pilots = new long[TruthCounters.CellCount];
        var frames = new Dictionary<long, long>();
        var logged = new List<long>[4];
        var given = new List<long>[4];
        for (var d = 0; d < 4; d++)
        {
            (logged[d], given[d]) = ([], []);
        }

        truth.ClickLog = click =>
        {
            logged[click.Detector].Add(click.Picoseconds);
            if (click.Slot < 0)
            {
                click.Cause.ShouldBeOneOf(ClickCause.Dark, ClickCause.Afterpulse);
                click.Symbol.ShouldBe(-1);
                return;
            }

            var inPilot = click.Slot % 100_032 < 4096;
            (inPilot ? pilots : payload)[TruthCounters.Cell(click.Detector, click.Cause, click.Symbol)]++;
            if (!inPilot)
            {
                frames[click.Slot / 100_032] = frames.GetValueOrDefault(click.Slot / 100_032) + 1;
            }
        };
        emission.Send(1_500_000, clicks =>
        {
            for (var d = 0; d < 4; d++)
            {
                given[d].AddRange(clicks.Times(d));
            }
        });

        for (var d = 0; d < 4; d++)
        {
            given[d].ShouldBe(logged[d]);
        }

        Clicked(truth.Payload()).ShouldBe(Clicked(payload));
        Clicked(truth.Pilots()).ShouldBe(Clicked(pilots));
        truth.Pilots().Emitted(0, 0).ShouldBeGreaterThan(0);
        for (var frame = 0; frame < 14; frame++)
        {
            var counters = truth.Frames(frame, 1);
            Clicked(counters).Sum().ShouldBe(frames[frame]);
            Enumerable.Range(0, 4).Sum(i => counters.Emitted(i, 0) + counters.Emitted(i, 1)).ShouldBe(100_032 - 4096);
        }

        Clicked(truth.Frames(2, 5)).Sum().ShouldBe(Enumerable.Range(2, 5).Sum(frame => frames[frame]));
        Should.Throw<ArgumentOutOfRangeException>(() => truth.Frames(14, 3));
    }

    [Fact]
    public void Dark_counts_between_pulses_belong_to_the_nearest_slot_and_else_to_none()
    {
        var line = new OpticalLine(Framed with { Source = new() { PhotonsPerPulse = [0] } }, 3);
        var clicks = new ClickBuffer();
        var symbols = new Dictionary<long, int>();
        var draw = new SymbolDraw(2);
        var packed = new ulong[6400 / 16];
        var (inSlots, inDark) = (0, 0);
        line.Truth.ClickLog = click =>
        {
            var fromStart = click.Picoseconds - line.DelayPicoseconds;
            if (click.Slot >= 0)
            {
                inSlots++;
                Math.Abs(fromStart - (click.Slot * 10_000)).ShouldBeLessThanOrEqualTo(5000);
                click.Symbol.ShouldBe(symbols[click.Slot]);
            }
            else
            {
                inDark++;
                (fromStart < -5000 || fromStart >= (6400L * 100 * 10_000) - 5000).ShouldBeTrue();
            }
        };
        for (var slot = 0L; slot < 6400 * 100; slot += 6400)
        {
            draw.Fill(packed);
            for (var i = 0; i < 6400; i++)
            {
                symbols[slot + i] = Symbol.Read(packed, i);
            }

            line.Propagate(slot, 6400, packed, slot * 10_000, clicks);
        }

        line.PropagateDark(6400L * 100 * 10_000, 6400L * 100 * 20_000, clicks);
        inSlots.ShouldBeGreaterThan(20_000);
        inDark.ShouldBeGreaterThan(20_000);
        Enumerable.Range(0, 4).Sum(d => line.Truth.UnlitClicks(d, ClickCause.Dark) + line.Truth.UnlitClicks(d, ClickCause.Afterpulse)).ShouldBe(inDark);
    }

    [Fact]
    public void A_frame_sent_again_is_counted_anew_and_old_frames_are_forgotten()
    {
        var line = new OpticalLine(Framed with { Truth = Framed.Truth with { FramesKept = 2 } }, 3);
        var clicks = new ClickBuffer();
        var packed = new ulong[100_032 / 16];
        for (var frame = 0L; frame < 3; frame++)
        {
            line.Propagate(frame * 100_032, 100_032, packed, frame * 1_000_320_000, clicks);
        }

        Should.Throw<ArgumentOutOfRangeException>(() => line.Truth.Frames(0, 1));
        line.Truth.Frames(1, 2).Emitted(0, 0).ShouldBe(2 * 95_936);
        line.Propagate(2 * 100_032, 50_048, packed, 9_000_000_000, clicks);
        line.Truth.Frames(2, 1).Emitted(0, 0).ShouldBe(50_048 - 4096);
        line.Truth.Payload().Emitted(0, 0).ShouldBe((3 * 95_936) + 50_048 - 4096);
    }

    private static long[] Clicked(TruthCounters counters) => Clicked(counters.Cells.ToArray());

    private static long[] Clicked(long[] cells) =>
        [.. Enumerable.Range(0, 4).SelectMany(d => cells.AsSpan(d * TruthCounters.DetectorCells, TruthCounters.MissedCells).ToArray())];
}

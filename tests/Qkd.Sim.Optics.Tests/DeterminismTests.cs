using Shouldly;

namespace Qkd.Sim.Optics.Tests;

public sealed class DeterminismTests
{
    private const int Slots = 640_000;

    private static readonly ulong[] Packed = MakeSymbols();

    private static ulong[] MakeSymbols()
    {
        var packed = new ulong[Slots / 16];
        new SymbolDraw(1).Fill(packed);
        return packed;
    }

    private static OpticsSettings Noisy => new()
    {
        Channel = new() { DriftRadiansPerRootSecond = 0.5, DriftStepPicoseconds = 333_000_000 },
        Detectors = [.. Enumerable.Repeat(new DetectorSettings { DarkCountsPerSecond = 1e5, AfterpulseProbability = 0.1, JitterPicoseconds = 900 }, 4)],
    };

    /// <summary>All clicks of a run cut as the given sequence says, and its counters.</summary>
    private static (long[][] Times, OpticalLine Line) Run(OpticsSettings settings, ulong seed, Func<int, int> nextStretch, EavesdropperSettings? eavesdropper = null)
    {
        var line = new OpticalLine(settings, seed) { Eavesdropper = eavesdropper ?? EavesdropperSettings.None };
        var clicks = new ClickBuffer();
        for (var slot = 0; slot < Slots;)
        {
            var count = Math.Min(Slots - slot, nextStretch(slot));
            line.Propagate(slot, count, Packed.AsSpan(slot / 16, count / 16), slot * 10_000L, clicks);
            slot += count;
        }

        line.PropagateDark(Slots * 10_000L, (Slots * 10_000L) + 1_000_000_000, clicks);
        return ([.. Enumerable.Range(0, 4).Select(d => clicks.Times(d).ToArray())], line);
    }

    [Theory]
    [InlineData(1.0, false)]
    [InlineData(1.0, true)]
    [InlineData(40.0, false)]
    [InlineData(0.0001, false)]
    public void Clicks_do_not_depend_on_how_the_slots_are_cut(double brightness, bool eavesdropped)
    {
        var settings = Noisy with { Source = new() { PhotonsPerPulse = [0.45 * brightness, 0.15 * brightness, 0.001] } };
        var eavesdropper = eavesdropped ? new EavesdropperSettings { Kind = EavesdropperKind.InterceptResend, Fraction = 0.5 } : null;
        var (whole, wholeLine) = Run(settings, 3, _ => Slots, eavesdropper);
        var random = new Random(5);
        foreach (var stretch in new Func<int, int>[] { _ => 64, _ => 4096, _ => 64_000, _ => 64 * (1 + random.Next(300)) })
        {
            var (cut, cutLine) = Run(settings, 3, stretch, eavesdropper);
            for (var detector = 0; detector < 4; detector++)
            {
                cut[detector].ShouldBe(whole[detector]);
            }

            Cells(cutLine.Truth.Payload()).ShouldBe(Cells(wholeLine.Truth.Payload()));
            Cells(cutLine.Truth.Pilots()).ShouldBe(Cells(wholeLine.Truth.Pilots()));
            cutLine.Truth.EmissionIntervals().ShouldBe(wholeLine.Truth.EmissionIntervals());
        }
    }

    [Fact]
    public void Darkness_does_not_depend_on_how_it_is_cut_either()
    {
        long[] Run(long step)
        {
            var line = new OpticalLine(Noisy, 6);
            var clicks = new ClickBuffer();
            for (var time = 0L; time < 100_000_000_000; time += step)
            {
                line.PropagateDark(time, time + step, clicks);
            }

            line.Propagate(0, 6400, Packed, 100_000_000_000, clicks);
            return clicks.Times(3).ToArray();
        }

        var whole = Run(100_000_000_000);
        whole.Length.ShouldBeGreaterThan(9000);
        Run(1_000_000_000).ShouldBe(whole);
        Run(10_000_000).ShouldBe(whole);
    }

    [Fact]
    public void Another_seed_gives_other_clicks()
    {
        Run(Noisy, 3, _ => Slots).Times[0].ShouldNotBe(Run(Noisy, 4, _ => Slots).Times[0]);
    }

    [Fact]
    public void Slot_numbers_that_come_again_meet_new_noise()
    {
        var line = new OpticalLine(Emission.Bare, 3);
        var clicks = new ClickBuffer();
        line.Propagate(0, 64_000, Packed, 0, clicks);
        var first = clicks.Times(0).ToArray();
        clicks.Clear();
        line.Propagate(0, 64_000, Packed, 640_000_000, clicks);
        var second = clicks.Times(0).ToArray();
        first.Select(time => time / 10_000).ShouldNotBe(second.Select(time => (time - 640_000_000) / 10_000));
        line.Truth.EmissionIntervals().ShouldBe([new(0, 64_000, 0, 640_000_000), new(0, 64_000, 640_000_000, 1_280_000_000)]);
    }

    [Fact]
    public void A_change_of_brightness_within_a_block_keeps_the_yields()
    {
        // Every 64 slots another attenuation, through both ways of drawing: each must give its own yield.
        var line = new OpticalLine(Emission.Bare with { Source = new() { PhotonsPerPulse = [45] } }, 3);
        var clicks = new ClickBuffer();
        double[] decibels = [0, 10, 23, 60, 10];
        var counts = new long[decibels.Length];
        var packed = new ulong[4];
        long emitted = 0;
        for (var slot = 0L; slot < 64 * 100_000; slot += 64)
        {
            var which = (int)(slot / 64 % decibels.Length);
            line.AttenuatorDecibels = decibels[which];
            line.Propagate(slot, 64, packed, slot * 10_000, clicks);
            counts[which] += clicks.Times(3).Length;
            clicks.Clear();
            emitted += which == 0 ? 64 : 0;
        }

        for (var which = 0; which < decibels.Length; which++)
        {
            line.AttenuatorDecibels = decibels[which];
            counts[which].ShouldBeBinomial(emitted, 1 - Math.Exp(-line.MeanPhotoelectrons(0, 0, 0, 3)), $"{decibels[which]} dB");
        }
    }

    [Fact]
    public void Time_cannot_go_back_and_stretches_are_whole_groups()
    {
        var line = new OpticalLine(new(), 1);
        var clicks = new ClickBuffer();
        line.Propagate(0, 640, Packed, 0, clicks);
        Should.Throw<ArgumentException>(() => line.Propagate(640, 640, Packed, 6_399_999, clicks));
        Should.Throw<ArgumentException>(() => line.PropagateDark(0, 10_000_000, clicks));
        Should.Throw<ArgumentException>(() => line.PropagateDark(10_000_000, 9_000_000, clicks));
        Should.Throw<ArgumentException>(() => line.Propagate(640, 100, Packed, 6_400_000, clicks));
        Should.Throw<ArgumentException>(() => line.Propagate(640, 640, Packed.AsSpan(0, 8), 6_400_000, clicks));
        line.Propagate(640, 640, Packed, 6_400_000, clicks);
        line.Truth.EmissionIntervals().ShouldBe([new(0, 1280, 0, 12_800_000)]);
    }

    private static long[] Cells(TruthCounters counters) => counters.Cells.ToArray();
}

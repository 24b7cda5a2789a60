using Shouldly;

namespace Qkd.Sim.Optics.Tests;

/// <summary>Random symbols with the probabilities of the default settings, made 64 slots at a time.</summary>
internal sealed class SymbolDraw(ulong seed)
{
    private CounterRandom _random = CounterRandom.At(CounterRandom.Key(seed, (Stream)99), 0);

    /// <summary>Z 13/16; intensities 1/2, 5/16, 3/16.</summary>
    public void Fill(Span<ulong> packed)
    {
        for (var i = 0; i < packed.Length; i += 4)
        {
            packed[i] = _random.Next();
            packed[i + 1] = ~_random.Next() & ~_random.Next() & ~(_random.Next() & _random.Next());
            var weak = _random.Next();
            var weakest = weak & _random.Next() & (_random.Next() | _random.Next());
            packed[i + 2] = weak & ~weakest;
            packed[i + 3] = weakest;
        }
    }

    public static double Probability(int symbol) =>
        (symbol >> 2) switch { 0 => 0.5, 1 => 0.3125, 2 => 0.1875, _ => 0 } * ((symbol & 2) == 0 ? 13 : 3) / 16 / 2;
}

/// <summary>A line that is fed with random symbols.</summary>
internal sealed class Emission
{
    private readonly ulong[] _packed;
    private readonly SymbolDraw _symbols;
    private readonly int _stretch;
    private long _picoseconds;
    private long _slot;

    public Emission(OpticsSettings settings, ulong seed, int stretch = 64_000)
    {
        Line = new(settings, seed);
        _symbols = new(seed);
        _stretch = stretch;
        _packed = new ulong[stretch / 16];
    }

    public OpticalLine Line { get; }

    public ClickBuffer Clicks { get; } = new();

    public GroundTruth Truth => Line.Truth;

    /// <summary>Sends about so many slots, whole stretches; hands the clicks of each stretch out.</summary>
    public Emission Send(long slots, Action<ClickBuffer>? received = null)
    {
        for (var end = _slot + slots; _slot < end; _slot += _stretch)
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            _symbols.Fill(_packed);
            Line.Propagate(_slot, _stretch, _packed, _picoseconds, Clicks);
            _picoseconds += _stretch * Line.Settings.Source.SlotPeriodPicoseconds;
            received?.Invoke(Clicks);
            Clicks.Clear();
        }

        return this;
    }

    /// <summary>Settings in which nothing but light makes clicks and no detector is ever dead.</summary>
    public static OpticsSettings Bare { get; } = new()
    {
        Channel = new() { RandomRotation = false, DriftRadiansPerRootSecond = 0 },
        Controller = new() { RetardanceWaves = [0, 0, 0] },
        Detectors = [.. Enumerable.Repeat(new DetectorSettings { DarkCountsPerSecond = 0, AfterpulseProbability = 0, DeadTimePicoseconds = 0 }, 4)],
        Truth = new() { PilotSlots = 0 },
    };

    /// <summary>The default settings with both ends aligned and no drift.</summary>
    public static OpticsSettings Aligned { get; } = new()
    {
        Channel = Bare.Channel,
        Controller = Bare.Controller,
        Truth = Bare.Truth,
    };
}

internal static class Sigma
{
    /// <summary>A count of independent trials agrees with its expectation within five standard deviations.</summary>
    public static void ShouldBeBinomial(this long count, long trials, double probability, string what)
    {
        var expected = trials * probability;
        var deviation = Math.Sqrt((expected * (1 - probability)) + 1);
        Math.Abs(count - expected).ShouldBeLessThan(5 * deviation, $"{what}: {count} of {trials}, expected {expected:F1} ± {deviation:F1}");
    }

    /// <summary>A number agrees with its expectation within five of its standard deviations.</summary>
    public static void ShouldBeWithinFiveSigma(this double value, double expected, double deviation, string what) =>
        Math.Abs(value - expected).ShouldBeLessThan(5 * deviation, $"{what}: {value}, expected {expected} ± {deviation}");
}

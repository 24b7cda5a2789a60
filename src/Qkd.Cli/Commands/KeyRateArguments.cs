using System.CommandLine;
using System.Globalization;
using Qkd.Distillation;

namespace Qkd.Cli.Commands;

/// <summary>The arguments of one <c>qkd keyrate</c>, read and put together to a bound or a sweep.</summary>
internal sealed class KeyRateArguments(KeyRateOptions options, ParseResult parsed)
{
    private const int MostSweepPoints = 10_000;

    /// <summary>Whether rates along a fibre are asked for.</summary>
    public bool IsSweep => Given(options.SweepKm);

    private string BoundName => parsed.GetValue(options.Bound)!;

    /// <summary>Refuses options of a sweep where there is none.</summary>
    /// <exception cref="UsageException">There is one.</exception>
    public void RefuseSweepOptions() => Refuse(options.OfSweep, "needs --sweep-km");

    /// <summary>The bound for the counts given.</summary>
    /// <exception cref="UsageException">An option is missing, out of place or no number.</exception>
    /// <exception cref="DistillationException">Values that are no counts or no probabilities.</exception>
    public KeyBound Bound()
    {
        var kind = Kind(BoundName);
        RefuseUnused(kind);
        return kind switch
        {
            KeyBoundKind.TupkaryTwoDecoy => Tupkary(),
            KeyBoundKind.LimTwoDecoy => FiniteKey.Lim(new()
            {
                Intensities = Intensities(3),
                KeyCounts = KeyCountsWithErrors(3),
                TestCounts = Counts(options.TestCounts, 3),
                TestErrors = Counts(options.TestErrors, 3),
                LeakedBits = Number(options.Leak),
                Secrecy = Secrecy,
                Correctness = Correctness,
            }),
            KeyBoundKind.WiesemannOneDecoy => FiniteKey.Wiesemann(OneDecoy()),
            KeyBoundKind.RuscaOneDecoy => FiniteKey.Rusca(OneDecoy()),
            KeyBoundKind.Tomamichel => FiniteKey.Tomamichel(new()
            {
                Source = DeclaredSource.SinglePhotons,
                KeyBits = Count(options.N),
                TestBits = Count(options.K),
                ToleratedErrorRate = Number(options.Qber),
                LeakedBits = Number(options.Leak),
                Secrecy = Secrecy,
                Correctness = Correctness,
            }),
            _ => FiniteKey.LimXuPanEkert(new()
            {
                Source = DeclaredSource.EntangledPairs,
                TotalBits = Count(options.M),
                TestBits = Count(options.K),
                ToleratedErrorRate = Number(options.Qber),
                KeyDeviation = Number(options.Nu),
                TotalDeviation = Number(options.Xi),
                Epsilon = Number(options.Eps, 1e-10),
                VerificationBits = (int)Math.Min(int.MaxValue, Count(options.T)),
                LeakedBits = Number(options.Leak),
            }),
        };
    }

    /// <summary>The sweep asked for.</summary>
    /// <exception cref="UsageException">An option is missing, out of place or no number.</exception>
    /// <exception cref="DistillationException">Values out of their range.</exception>
    public KeyRateSweep Sweep()
    {
        Refuse(options.OfCounts, "has no place in a sweep: its counts come from the link");
        KeyBoundKind[] kinds = [.. BoundName.Split(',', StringSplitOptions.TrimEntries).Select(Kind).Distinct()];
        var source = Source(kinds);
        if (!kinds.Contains(KeyBoundKind.TupkaryTwoDecoy))
        {
            Refuse(options.OfSix, "is used by tupkary-2decoy alone");
        }

        if (kinds.Length == 1 && kinds[0] is KeyBoundKind.TupkaryTwoDecoy)
        {
            Refuse([options.EpsSec, options.EpsCor, options.EpsSecPerBit], "is not used by tupkary-2decoy: it has --eps");
        }

        var link = new LinkModel
        {
            LossDecibels = 0,
            ReceiverLossDecibels = Number(options.ReceiverLoss, 0),
            DetectorEfficiency = Number(options.Efficiency, 0.2),
            DarkCountProbability = Number(options.DarkCounts, 1e-6),
            AfterpulseProbability = Number(options.Afterpulse, 0),
            MisalignmentError = Number(options.Misalignment, 0.01),
            Receiver = Choice(options.Receiver, ("passive", ReceiverKind.PassiveSplitter), ("active", ReceiverKind.ActiveAsAlice)),
            RepetitionRateHertz = Number(options.RepetitionRate, 0),
            DeadTimeSeconds = Number(options.DeadTime, 0) * 1e-9,
        };
        if (Given(options.DeadTime) && !Given(options.RepetitionRate))
        {
            throw new UsageException("--dead-time-ns needs --repetition-rate.");
        }

        var settings = new KeyRateSettings
        {
            BlockSize = Number(options.Block, 1e7),
            Unit = Choice(options.BlockUnit, ("key-bits", BlockUnit.KeyBits), ("pulses", BlockUnit.Pulses)),
            ErrorCorrectionEfficiency = Number(options.EcEfficiency, 1.16),
            Security = Six(),
            Secrecy = kinds is [KeyBoundKind.LimXuPanEkert] ? Number(options.Eps, 1e-10) : Secrecy,
            Correctness = Correctness,
            SecrecyPerBit = Given(options.EpsSecPerBit) ? Number(options.EpsSecPerBit) : null,
            WeakestMean = Number(options.WeakestMu, 2e-4),
            IntensityUncertainty = Number(options.Uncertainty, 0),
        };
        link.Validate();
        settings.Validate();
        return new(kinds, Kilometres(), Attenuation(), link, settings, source, PlotFile());
    }

    private double Secrecy => Number(options.EpsSec, 1e-9);

    private double Correctness => Number(options.EpsCor, 1e-15);

    private TwoDecoyBound Tupkary()
    {
        var inputs = new TwoDecoyInputs
        {
            Intensities = Intensities(3),
            KeyCounts = KeyCountsWithErrors(3),
            TestCounts = Counts(options.TestCounts, 3),
            TestErrors = Counts(options.TestErrors, 3),
            LeakedBits = Number(options.Leak),
            Security = Six(),
        };
        return FiniteKey.TwoDecoy(inputs, Number(options.Delta1, 0), Number(options.Delta2, 0));
    }

    private SecurityParameters Six()
    {
        var all = Number(options.Eps, 1e-10);
        return new()
        {
            Concentration = Number(options.EpsD, all),
            Sampling = Number(options.EpsA, all),
            MismatchRatio = Number(options.EpsB, all),
            MismatchLoss = Number(options.EpsC, all),
            Amplification = Number(options.EpsPa, all),
            Verification = Number(options.EpsEv, all),
        };
    }

    private OneDecoyInputs OneDecoy() => new()
    {
        Intensities = Intensities(2),
        KeyCounts = Counts(options.KeyCounts, 2),
        KeyErrors = Counts(options.KeyErrors, 2),
        TestCounts = Counts(options.TestCounts, 2),
        TestErrors = Counts(options.TestErrors, 2),
        LeakedBits = Number(options.Leak),
        Secrecy = Secrecy,
        Correctness = Correctness,
    };

    private IntensityClass[] Intensities(int count)
    {
        var (means, probabilities, width) = (Numbers(options.Mu, count), Numbers(options.P, count), Number(options.Uncertainty, 0));
        return width is >= 0 and < 1
            ? [.. means.Zip(probabilities, (mean, p) => new IntensityClass(mean, mean * (1 - width), mean * (1 + width), p))]
            : throw new UsageException(FormattableString.Invariant($"--mu-uncertainty is {width}; it must be 0 to below 1."));
    }

    /// <summary>Key counts of a bound that does not use the key basis' errors: given, they must still be such.</summary>
    private long[] KeyCountsWithErrors(int count)
    {
        var counts = Counts(options.KeyCounts, count);
        if (Given(options.KeyErrors) && Counts(options.KeyErrors, count).Zip(counts).Any(pair => pair.First < 0 || pair.First > pair.Second))
        {
            throw new DistillationException("There are more key errors than counts.");
        }

        return counts;
    }

    private SourceSettings? Source(KeyBoundKind[] kinds)
    {
        if (parsed.GetValue(options.Optimise))
        {
            Refuse([options.Mu, options.P, options.KeyBasis, options.TestShare, options.Nu, options.Xi], "has no place where the best is sought: add --optimise false");
            return null;
        }

        if (kinds.Length > 1)
        {
            throw new UsageException("Without optimising, a sweep takes one bound.");
        }

        var count = new KeyRateSettings { Bound = kinds[0] }.IntensityCount;
        return kinds[0] switch
        {
            KeyBoundKind.LimXuPanEkert => new() { TestShare = Number(options.TestShare), KeyDeviation = Number(options.Nu), TotalDeviation = Number(options.Xi) },
            KeyBoundKind.Tomamichel => new() { KeyBasis = Number(options.KeyBasis) },
            _ => new() { Means = Numbers(options.Mu, count), Probabilities = Numbers(options.P, count), KeyBasis = Number(options.KeyBasis) },
        };
    }

    private double[] Kilometres()
    {
        var text = parsed.GetValue(options.SweepKm)!;
        double[] parts = [.. text.Split(':').Select(part => TryNumber(part, out var value) ? value : throw Misread(options.SweepKm, text, "A:B:STEP in kilometres"))];
        return parts switch
        {
            [var only] when only >= 0 => [only],
            [var from, var to, var step] when from >= 0 && to >= from && step > 0 && (to - from) / step < MostSweepPoints =>
                [.. Enumerable.Range(0, (int)Math.Floor(((to - from) / step) + 1e-9) + 1).Select(i => Math.Round(from + (i * step), 9))],
            _ => throw Misread(options.SweepKm, text, $"A:B:STEP in kilometres with 0 <= A <= B, STEP > 0 and at most {MostSweepPoints} steps"),
        };
    }

    private double Attenuation() => Number(options.Attenuation, 0.2) is >= 0 and < 1000 and var value
        ? value
        : throw Misread(options.Attenuation, parsed.GetValue(options.Attenuation)!, "0 or more decibels");

    private string? PlotFile() => parsed.GetValue(options.Plot) is not { } file ? null
        : Path.GetExtension(file).ToLowerInvariant() is ".png" or ".svg" ? file
        : throw new UsageException($"--plot writes .png or .svg, not '{file}'.");

    private void RefuseUnused(KeyBoundKind kind)
    {
        Option[] decoys = [options.Mu, options.P, options.Uncertainty, options.KeyCounts, options.KeyErrors, options.TestCounts, options.TestErrors];
        Option[] secrecy = [options.EpsSec, options.EpsCor];
        Option[] pairs = [options.M, options.Nu, options.Xi, options.T];
        Option[] tupkary = [.. options.OfSix, options.Delta1, options.Delta2];
        Option[] single = [options.K, options.Qber];
        Refuse(
            kind switch
            {
                KeyBoundKind.TupkaryTwoDecoy => [.. secrecy, .. pairs, .. single, options.N],
                KeyBoundKind.Tomamichel => [.. decoys, .. pairs, .. tupkary, options.Eps],
                KeyBoundKind.LimXuPanEkert => [.. decoys, .. secrecy, .. tupkary, options.N],
                _ => [.. pairs, .. single, .. tupkary, options.N, options.Eps],
            },
            $"is not used by {BoundName}" + (kind is KeyBoundKind.Tomamichel or KeyBoundKind.LimXuPanEkert ? ", which holds for single photons or pairs alone" : ""));
    }

    private void Refuse(IEnumerable<Option> unwanted, string why)
    {
        if (unwanted.FirstOrDefault(Given) is { } option)
        {
            throw new UsageException($"{option.Name} {why}.");
        }
    }

    private bool Given(Option option) => parsed.GetResult(option) is { Implicit: false };

    private static KeyBoundKind Kind(string name) => KeyRateOptions.Kinds.TryGetValue(name, out var kind)
        ? kind
        : throw new UsageException($"'{name}' is no bound; there are {string.Join(", ", KeyRateOptions.Kinds.Keys)}.");

    private T Choice<T>(Option<string> option, params ReadOnlySpan<(string Name, T Value)> choices)
    {
        var text = parsed.GetValue(option);
        List<string> names = [];
        foreach (var (name, value) in choices)
        {
            if (text is null || text == name)
            {
                return value;
            }

            names.Add(name);
        }

        throw Misread(option, text!, string.Join(" or ", names));
    }

    private double Number(Option<string> option, double absent) => Given(option) ? Number(option) : absent;

    private double Number(Option<string> option) => TryNumber(Required(option), out var value) ? value : throw Misread(option, Required(option), "a number");

    private double[] Numbers(Option<string> option, int count)
    {
        var text = Required(option);
        double[] values = [.. text.Split(',').Select(part => TryNumber(part, out var value) ? value : throw Misread(option, text, "a list of numbers"))];
        return values.Length == count ? values : throw Misread(option, text, $"{count} numbers, comma-separated");
    }

    private long[] Counts(Option<string> option, int count) => [.. Numbers(option, count).Select(value => Whole(option, value))];

    private long Count(Option<string> option) => Whole(option, Number(option));

    private static long Whole(Option<string> option, double value) => Math.Abs(value) < 1e18 && Math.Floor(value) == value
        ? (long)value
        : throw new UsageException(FormattableString.Invariant($"{option.Name} takes whole numbers, not {value}."));

    private string Required(Option<string> option) => parsed.GetValue(option) ?? throw new UsageException(
        IsSweep ? $"{option.Name} is missing." : $"{BoundName} needs {option.Name}.");

    private static bool TryNumber(string text, out double value) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && double.IsFinite(value);

    private static UsageException Misread(Option option, string text, string expected) => new($"{option.Name} is '{text}'; it must be {expected}.");
}

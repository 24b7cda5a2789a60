using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Qkd.Cli.Distilling;
using Qkd.Devices;
using Qkd.Distillation;

namespace Qkd.Cli.Commands;

/// <summary><c>qkd distill</c>: for people who bring their own sifted bits. Both ends run here; the key is of the Laboratory grade.</summary>
internal static class DistillCommand
{
    private const string SinglePhotons = "single-photon";
    private const string Pairs = "pair";
    private const string DecoyCountsName = "decoy-counts-file";

    public static Command Create()
    {
        var options = new DistillOptions();
        var command = options.On(new Command(
            "distill", "Makes key of sifted bits that you bring: error correction, verification, bound, privacy amplification. The key is of the Laboratory grade."));
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(() => Task.Run(() => Run(parsed, options), cancellationToken)));
        return command;
    }

    private static int Run(ParseResult parsed, DistillOptions options)
    {
        var settings = options.Read(parsed);
        var (alice, bob) = (Read(settings.Alice, settings), Read(settings.Bob, settings));
        if (alice.Count != bob.Count)
        {
            throw new InvalidDataException($"{settings.Alice} holds {alice.Count} bits and {settings.Bob} {bob.Count}: the two ends must bring the same number.");
        }

        var began = Stopwatch.GetTimestamp();
        var sample = TestSample.Draw(alice, bob, TestCount(alice.Count, settings), OperatingSystemRandomness.Instance);
        var summary = Distill(settings, sample, began, out var keys);
        using var aliceKey = keys?.Alice;
        using var bobKey = keys?.Bob;
        Write(aliceKey, settings.OutAlice, settings.Packed);
        Write(bobKey, settings.OutBob, settings.Packed);
        if (settings.Json)
        {
            Console.WriteLine(JsonOutput.Serialize(summary));
        }
        else
        {
            Print(summary, settings);
        }

        if (settings.ReconcileOnly || summary.SecretBits > 0)
        {
            return ExitCodes.Success;
        }

        Console.Error.WriteLine($"The bits give no secret key: {summary.Reason}.");
        return ExitCodes.Failure;
    }

    private static DistillSummary Distill(DistillSettings settings, TestSample sample, long began, out (SecretKey Alice, SecretKey Bob)? keys)
    {
        var counts = settings.Counts is { } path ? DecoyCountsFile.Read(path) : null;
        var (testCount, testErrors) = counts is null ? (sample.TestCount, sample.TestErrors) : (counts.TestCounts.Sum(), counts.TestErrors.Sum());
        double? testQber = testCount > 0 ? (double)testErrors / testCount : null;

        // Both ends are here: without a sample the rate to expect is looked up, which saves a wrong guess and changes no figure of the leak.
        var expected = testQber ?? ((double)sample.CountErrors() / sample.Count);
        if (expected > settings.QberLimit)
        {
            throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture, $"The error rate is {expected:P2}, above the limit of {settings.QberLimit:P2} (--qber-limit)."));
        }

        var distillation = new LocalDistillation(AdaptiveReconciler.Create(settings.Method, OperatingSystemRandomness.Instance), OperatingSystemRandomness.Instance);
        var conditions = new ReconciliationConditions(expected);
        keys = null;
        var (alice, bob) = (Block(sample.Alice), Block(sample.Bob));
        var report = settings.ReconcileOnly ? distillation.Reconcile(alice, bob, conditions) : distillation.Distill(alice, bob, conditions, out keys);
        var elapsed = Stopwatch.GetElapsedTime(began).TotalSeconds;
        var entropy = report.KeyBits * FiniteKey.BinaryEntropy((double)report.Errors / report.KeyBits);
        var corrected = report.Ledger.ReconciliationBits + report.Ledger.ReverseReconciliationBits + report.Ledger.DisclosedBits;
        return new()
        {
            Bits = report.KeyBits,
            Qber = (double)report.Errors / report.KeyBits,
            LeakedBits = report.Ledger.TotalBits,
            Efficiency = entropy > 0 ? corrected / entropy : null,
            Rounds = report.Rounds,
            Frames = report.Frames,
            FramesFailed = report.DisclosedFrames,
            Verified = true,
            SecretBits = keys?.Alice.LengthBits ?? 0,
            ElapsedSeconds = Math.Round(elapsed, 6),
            ThroughputMbps = report.KeyBits / elapsed / 1e6,
            Method = report.Method,
            TestBits = sample.TestCount,
            TestQber = testQber,
            ReconciliationBits = report.Ledger.ReconciliationBits,
            VerificationBits = report.Ledger.VerificationBits,
            DisclosedBits = report.Ledger.DisclosedBits,
            Grade = nameof(KeyGrade.Laboratory),
            Bound = report.Bound?.Name,
            PhaseErrorRate = report.Bound?.PhaseErrorRate,
            Epsilon = keys?.Alice.Epsilon,
            Reason = string.IsNullOrEmpty(report.Bound?.Reason) ? null : report.Bound.Reason,
        };

        SiftedBlock Block(ulong[] bits) => counts is null
            ? BroughtBits.OfSinglePhotons(bits, sample.Count, sample.TestCount, sample.TestErrors, settings.Declared)
            : BroughtBits.OfDecoys(bits, sample.Count, counts, Security(settings));
    }

    /// <summary>ε_sec shared evenly: 2 √(9 ε² + ε²) + ε = ε_sec.</summary>
    private static SecurityParameters Security(DistillSettings settings) =>
        new(settings.Declared.Secrecy / ((2 * Math.Sqrt(10)) + 1)) { Verification = settings.Declared.Correctness };

    private static BitFile Read(string path, DistillSettings settings) => BitFile.Read(path, settings.Packed, BroughtBits.MaximumBits);

    private static int TestCount(int bits, DistillSettings settings)
    {
        var count = (int)Math.Round(settings.TestFraction * bits);
        return count < bits && (count > 0 || settings.TestFraction == 0)
            ? count
            : throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture, $"Of {bits} bits no sample of {settings.TestFraction:P} can be taken that leaves some."));
    }

    private static void Write(SecretKey? key, string? path, bool packed)
    {
        if (key is null || path is null)
        {
            return;
        }

        var bytes = GC.AllocateArray<byte>(key.LengthBytes, pinned: true);
        try
        {
            key.CopyTo(bytes);
            BitFile.Write(path, bytes, packed);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    private static void Print(DistillSummary summary, DistillSettings settings)
    {
        var facts = new FactTable();
        if (summary.TestBits > 0)
        {
            facts.Row("sample", FormattableString.Invariant($"{summary.TestBits} bits, {summary.TestQber:P2} wrong, thrown away"));
        }

        facts.Row("bits", FormattableString.Invariant($"{summary.Bits}, {summary.Qber:P2} wrong"));
        facts.Row("corrected by", $"{summary.Method}, {summary.Frames} frames, {summary.Rounds} rounds" + (summary.FramesFailed > 0 ? $", {summary.FramesFailed} frames disclosed" : ""));
        facts.Row("leaked", $"{summary.LeakedBits} bits" + (summary.Efficiency is { } f ? FormattableString.Invariant($", f = {f:0.000}") : ""));
        facts.Row("verified", "the same at both ends");
        if (!settings.ReconcileOnly)
        {
            facts.Row("bound", FormattableString.Invariant($"{summary.Bound}: phase error rate {summary.PhaseErrorRate:P2}"));
            facts.Row("secret key", $"{summary.SecretBits} bits, {summary.Grade}" + (summary.Epsilon is { } epsilon ? FormattableString.Invariant($", ε = {epsilon:0.0e0}") : ""));
        }

        facts.Row("time", FormattableString.Invariant($"{summary.ElapsedSeconds:0.000} s, {summary.ThroughputMbps:0.0} Mb/s"));
        facts.Write();
    }

    /// <summary>What the command line says, checked.</summary>
    private sealed record DistillSettings(
        string Alice, string Bob, bool Packed, ReconciliationMethod Method, bool ReconcileOnly, double TestFraction, DeclaredModel Declared,
        string? Counts, double QberLimit, string? OutAlice, string? OutBob, bool Json);

    private sealed class DistillOptions
    {
        private readonly Option<string> _alice = new("--alice") { Description = "Alice's sifted bits: text of 0 and 1, white space ignored.", Required = true, HelpName = "FILE" };
        private readonly Option<string> _bob = new("--bob") { Description = "Bob's, as many.", Required = true, HelpName = "FILE" };
        private readonly Option<bool> _packed = new("--packed") { Description = "Files are packed bytes, the first bit in the most significant place." };
        private readonly Option<string> _method = new("--method") { Description = "Error correction.", DefaultValueFactory = _ => "auto", HelpName = "cascade|ldpc|auto" };
        private readonly Option<bool> _reconcileOnly = new("--reconcile-only") { Description = "Error correction and verification alone, for their figures." };
        private readonly Option<double?> _testFraction = new("--test-fraction") { Description = "Share of the bits that is compared and thrown away; 0.1 for single photons and pairs, else 0.", HelpName = "0..1" };
        private readonly Option<double?> _tolerated = new("--tolerated-qber")
        {
            Description = "Single photons and pairs: the error rate of the sample that was agreed on beforehand; with more the block is lost. Without it the observed one counts, and the length is a figure, not a proof.",
            HelpName = "0..0.5",
        };

        private readonly Option<double> _epsilonSecrecy = new("--eps-sec") { Description = "ε_sec: how far the key may be from secret.", DefaultValueFactory = _ => 1e-10 };
        private readonly Option<double> _epsilonCorrectness = new("--eps-cor") { Description = "ε_cor: probability that the two keys differ.", DefaultValueFactory = _ => 1e-15 };
        private readonly Option<string?> _source = new("--source")
        {
            Description = $"What sent the bits. '{SinglePhotons}' or '{Pairs}' declares a source without multi-photon pulses; weak coherent pulses need '{DecoyCountsName}' and --counts.",
            HelpName = $"{SinglePhotons}|{Pairs}|{DecoyCountsName}",
        };

        private readonly Option<string?> _counts = new("--counts") { Description = "JSON file with mu, p, key_counts, test_counts, test_errors: three numbers each, brightest first.", HelpName = "FILE" };
        private readonly Option<double> _qberLimit = new("--qber-limit") { Description = "Error rate above which nothing is tried.", DefaultValueFactory = _ => 0.11 };
        private readonly Option<string?> _outAlice = new("--out-alice") { Description = "Where Alice's key goes.", HelpName = "FILE" };
        private readonly Option<string?> _outBob = new("--out-bob") { Description = "Where Bob's key goes.", HelpName = "FILE" };
        private readonly Option<bool> _json = CommonOptions.Json();

        public Command On(Command command)
        {
            foreach (var option in new Option[]
            {
                _alice, _bob, _packed, _method, _reconcileOnly, _testFraction, _tolerated, _epsilonSecrecy, _epsilonCorrectness, _source, _counts, _qberLimit, _outAlice, _outBob, _json,
            })
            {
                command.Add(option);
            }

            return command;
        }

        public DistillSettings Read(ParseResult parsed)
        {
            var method = parsed.GetValue(_method) switch
            {
                "auto" => ReconciliationMethod.Auto,
                "cascade" => ReconciliationMethod.Cascade,
                "ldpc" => ReconciliationMethod.Ldpc,
                var other => throw new UsageException($"--method {other}: one of cascade, ldpc, auto"),
            };
            var (source, counts, only) = (parsed.GetValue(_source), parsed.GetValue(_counts), parsed.GetValue(_reconcileOnly));
            var decoys = source == DecoyCountsName;
            if (source is null && !only)
            {
                throw new UsageException($"--source is missing: declare what sent the bits, '{SinglePhotons}', '{Pairs}', or '{DecoyCountsName}' for weak coherent pulses");
            }

            if (source is not (null or SinglePhotons or Pairs or DecoyCountsName))
            {
                throw new UsageException($"--source {source}: one of {SinglePhotons}, {Pairs}, {DecoyCountsName}");
            }

            if (decoys != counts is not null)
            {
                throw new UsageException(decoys ? "--counts is missing: the file with the decoy counts" : $"--counts belongs to --source {DecoyCountsName}");
            }

            var (outAlice, outBob) = (parsed.GetValue(_outAlice), parsed.GetValue(_outBob));
            if (only && (outAlice ?? outBob) is not null)
            {
                throw new UsageException("--reconcile-only makes no key: corrected bits are not secret, and are not written");
            }

            var fraction = parsed.GetValue(_testFraction) ?? (decoys || only ? 0 : 0.1);
            if (!(fraction is >= 0 and < 1) || (decoys && fraction != 0) || (!decoys && !only && fraction == 0))
            {
                throw new UsageException(decoys
                    ? "--test-fraction: the test basis is counted in --counts; nothing is sampled"
                    : "--test-fraction: between 0 and 1; without a sample nothing is known of the phase errors");
            }

            var tolerated = parsed.GetValue(_tolerated);
            if (tolerated is { } rate && (decoys || !(rate is >= 0 and < 0.5)))
            {
                throw new UsageException("--tolerated-qber: 0 to 0.5, for single photons and pairs");
            }

            var declared = new DeclaredModel(
                source == Pairs ? DeclaredSource.EntangledPairs : DeclaredSource.SinglePhotons, Probability(parsed, _epsilonSecrecy), Probability(parsed, _epsilonCorrectness))
            {
                ToleratedErrorRate = tolerated ?? double.NaN,
            };
            return new(
                parsed.GetValue(_alice)!, parsed.GetValue(_bob)!, parsed.GetValue(_packed), method, only, fraction, declared,
                counts, Probability(parsed, _qberLimit), outAlice, outBob, parsed.GetValue(_json));
        }

        private static double Probability(ParseResult parsed, Option<double> option) =>
            parsed.GetValue(option) is > 0 and < 1
                ? parsed.GetValue(option)
                : throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"{option.Name} {parsed.GetValue(option)}: between 0 and 1"));
    }
}

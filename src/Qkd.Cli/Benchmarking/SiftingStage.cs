using System.Buffers;
using System.Diagnostics;
using Qkd.Distillation;

namespace Qkd.Cli.Benchmarking;

/// <summary>Sifting: announcements and matches of both ends, each end's work counted apart. The slower one decides.</summary>
internal sealed class SiftingStage : IBenchmarkStage
{
    public string Name => "sift";

    public IEnumerable<BenchmarkFigure> Measure(TimeSpan time, CancellationToken cancellationToken)
    {
        const int frames = 16;
        var light = new SyntheticLight(frames, 0.02);
        var (announcement, answer) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());
        var (aliceRates, bobRates) = (new List<double>(), new List<double>());
        var began = Stopwatch.GetTimestamp();
        for (var run = 0; aliceRates.Count < 5 || Stopwatch.GetElapsedTime(began) < time; run++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var alice = new AliceSifter(light.Parameters);
            using var bob = new BobSifter(light.Parameters);
            var (aliceTime, bobTime) = (TimeSpan.Zero, TimeSpan.Zero);
            for (var frame = 0; frame < frames; frame++)
            {
                announcement.ResetWrittenCount();
                answer.ResetWrittenCount();
                var start = Stopwatch.GetTimestamp();
                light.Announce(bob, frame, announcement);
                var announced = Stopwatch.GetTimestamp();
                light.Match(alice, frame, announcement.WrittenSpan, answer);
                var matched = Stopwatch.GetTimestamp();
                bob.ReceiveMatches(answer.WrittenSpan);
                aliceTime += Stopwatch.GetElapsedTime(announced, matched);
                bobTime += Stopwatch.GetElapsedTime(start, announced) + Stopwatch.GetElapsedTime(matched);
            }

            if (run >= 5)
            {
                aliceRates.Add(light.Detections / aliceTime.TotalSeconds / 1e6);
                bobRates.Add(light.Detections / bobTime.TotalSeconds / 1e6);
            }
        }

        var (a, b) = (Measuring.Median(aliceRates), Measuring.Median(bobRates));
        yield return new("sift_mdps", Math.Min(a, b), "M detections/s", FormattableString.Invariant(
            $"one detection in {light.Parameters.FrameSlots * frames / light.Detections} slots; Alice {a:0} M/s, Bob {b:0} M/s"));
    }
}

using System.Text.Json;
using System.Text.Json.Serialization;
using Qkd.Sim.Optics;

namespace Qkd.Sim.Bench;

/// <summary>
/// Writes down what really happened, one JSON object a line and period of bench time, the last when the bench stops. Counters run from the
/// start. For tests and for judging a node; a node never reads it. One thread.
/// </summary>
internal sealed class TruthLog : IDisposable
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    private readonly StreamWriter _file;
    private readonly long _period;
    private long _due;

    public TruthLog(string path, TimeSpan period)
    {
        // Others may look into it while it grows.
        _file = new StreamWriter(new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete));
        _period = (long)(period.TotalSeconds * 1e12);
        _due = _period;
    }

    /// <summary>Writes a line if it is time for one.</summary>
    public void Follow(long benchPicoseconds, OpticalLine line)
    {
        if (benchPicoseconds >= _due)
        {
            Write(benchPicoseconds, line);
            _due += ((benchPicoseconds - _due) / _period + 1) * _period;
        }
    }

    /// <summary>Writes a line.</summary>
    public void Write(long benchPicoseconds, OpticalLine line)
    {
        var truth = line.Truth;
        var detectors = Enumerable.Range(0, OpticalLine.DetectorCount);
        var runs = truth.EmissionIntervals();
        var record = new
        {
            BenchTimeS = benchPicoseconds * 1e-12,
            AttenuatorDb = line.AttenuatorDecibels,
            PaddlesDeg = line.PaddleAngles.ToArray(),
            line.DetectorsEnabled,
            line.Eavesdropper,
            LatestEmission = runs.Count == 0 ? (EmissionInterval?)null : runs[^1],
            Payload = Summarize(truth.Payload(), line.PhotonsPerPulse.Count),
            Pilots = Summarize(truth.Pilots(), line.PhotonsPerPulse.Count),
            UnlitDarkCounts = detectors.Sum(detector => truth.UnlitClicks(detector, ClickCause.Dark)),
            UnlitAfterpulses = detectors.Sum(detector => truth.UnlitClicks(detector, ClickCause.Afterpulse)),
        };
        _file.WriteLine(JsonSerializer.Serialize(record, Json));
        _file.Flush();
    }

    public void Dispose() => _file.Dispose();

    private static object Summarize(TruthCounters counters, int intensities) => new
    {
        SignalClicks = counters.Clicks(ClickCause.Signal),
        ResentClicks = counters.Clicks(ClickCause.Resent),
        DarkCounts = counters.Clicks(ClickCause.Dark),
        Afterpulses = counters.Clicks(ClickCause.Afterpulse),
        Symbols = (
            from intensity in Enumerable.Range(0, intensities)
            from basis in Enumerable.Range(0, 2)
            select new
            {
                Intensity = intensity,
                Basis = basis == 0 ? "Z" : "X",
                Emitted = counters.Emitted(intensity, basis),
                MatchedClicks = counters.Matched(intensity, basis),
                WrongClicks = counters.Errors(intensity, basis),
                Missed = Missed(counters, intensity, basis),
            }).ToArray(),
    };

    private static long Missed(TruthCounters counters, int intensity, int basis)
    {
        var sum = 0L;
        for (var detector = 0; detector < OpticalLine.DetectorCount; detector++)
        {
            sum += counters.Missed(intensity, basis, 0, detector) + counters.Missed(intensity, basis, 1, detector);
        }

        return sum;
    }
}

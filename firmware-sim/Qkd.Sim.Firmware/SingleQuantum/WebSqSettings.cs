using Qkd.Sim.Firmware.Transport;

namespace Qkd.Sim.Firmware.SingleQuantum;

/// <summary>How an emulated WebSQ detector driver is set up.</summary>
public sealed record WebSqSettings
{
    /// <summary>Bench name.</summary>
    public string Name { get; init; } = "detectors";

    /// <summary>Address to listen on; a numeric address of this machine.</summary>
    public string ListenAddress { get; init; } = "127.0.0.1";

    /// <summary>TCP port of the control connection; 0 picks a free one (the instrument's own is 12000).</summary>
    public int ControlPort { get; init; }

    /// <summary>TCP port of the counts; 0 picks a free one (the instrument's own is 12345).</summary>
    public int CountsPort { get; init; }

    /// <summary>Number of detectors, 1 to 24.</summary>
    public int DetectorCount { get; init; } = 4;

    /// <summary>Whether bias is on at power-up.</summary>
    public bool EnabledAtPowerUp { get; init; }

    /// <summary>Bias current of each detector at power-up, in microamperes.</summary>
    public double BiasMicroamperes { get; init; } = 18;

    /// <summary>Largest bias current in microamperes; the smallest is 0.</summary>
    public double MaximumBiasMicroamperes { get; init; } = 50;

    /// <summary>Trigger level of each detector at power-up, in millivolts.</summary>
    public double TriggerMillivolts { get; init; } = 100;

    /// <summary>Largest trigger level in millivolts; the smallest is its negative.</summary>
    public double MaximumTriggerMillivolts { get; init; } = 1000;

    /// <summary>Bias current that the automatic calibration finds in the dark, in microamperes. Light makes it find less.</summary>
    public double DarkBiasMicroamperes { get; init; } = 18;

    /// <summary>How long the automatic calibration takes, in bench time.</summary>
    public TimeSpan CalibrationTime { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Series resistance in ohms, across which the bias voltage of a superconducting detector is measured.</summary>
    public double SeriesOhms { get; init; } = 50;

    /// <summary>By how much <see cref="InstrumentFault.Late"/> delays an answer, in bench time.</summary>
    public TimeSpan LateBy { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Seed of the nonsense that <see cref="InstrumentFault.Garbage"/> sends.</summary>
    public ulong Seed { get; init; }

    internal void Validate()
    {
        Setting.Require(DetectorCount is >= 1 and <= 24, nameof(DetectorCount), "1 to 24");
        Setting.Require(MaximumBiasMicroamperes > 0, nameof(MaximumBiasMicroamperes), "positive");
        Setting.Require(BiasMicroamperes >= 0 && BiasMicroamperes <= MaximumBiasMicroamperes, nameof(BiasMicroamperes), "from 0 to MaximumBiasMicroamperes");
        Setting.Require(DarkBiasMicroamperes >= 0 && DarkBiasMicroamperes <= MaximumBiasMicroamperes, nameof(DarkBiasMicroamperes), "from 0 to MaximumBiasMicroamperes");
        Setting.Require(Math.Abs(TriggerMillivolts) <= MaximumTriggerMillivolts, nameof(TriggerMillivolts), "within ±MaximumTriggerMillivolts");
        Setting.Require(CalibrationTime > TimeSpan.Zero, nameof(CalibrationTime), "positive");
        Setting.Require(LateBy > TimeSpan.Zero, nameof(LateBy), "positive");
    }
}

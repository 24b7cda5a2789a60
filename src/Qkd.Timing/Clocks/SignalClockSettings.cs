namespace Qkd.Timing.Clocks;

/// <summary>What must be known of a sender to find the clock in its light, and how far it may be off.</summary>
public sealed record SignalClockSettings
{
    /// <summary>Nominal length of a slot in picoseconds.</summary>
    public double SlotPeriodPicoseconds { get; init; } = 10_000;

    /// <summary>How far the two clocks' frequencies may differ, in parts per million.</summary>
    public double LargestDeviationPpm { get; init; } = 55;

    /// <summary>How fast this difference may change, in parts per million a second.</summary>
    public double LargestDriftPpmPerSecond { get; init; } = 1.1;

    /// <summary>
    /// Random walk of the frequency that is allowed for: standard deviation after a second, in parts per million. A larger figure follows worse oscillators, and lets more
    /// of the clicks' own jitter through.
    /// </summary>
    public double FrequencyWanderPpm { get; init; } = 0.002;

    /// <summary>
    /// By how much the drift itself wanders in a second, in parts per million a second.
    /// </summary>
    public double DriftWanderPpm { get; init; } = 0.01;

    /// <summary>Detectors, numbered from 0.</summary>
    public int Detectors { get; init; } = 4;

    /// <summary>Slots a frame.</summary>
    public int FrameSlots { get; init; } = 1_000_000;

    /// <summary>Pilot slots at the head of each frame, a multiple of 64.</summary>
    public int PilotSlots { get; init; } = 4096;

    /// <summary>Index of the weakest intensity, which the pilot uses for its dark slots.</summary>
    public int VacuumIntensity { get; init; } = 2;

    /// <summary>Number of the first frame that the first click may fall into.</summary>
    public long FirstFrame { get; init; }

    /// <summary>
    /// How many frames, from <see cref="FirstFrame"/> on, may be the one that the first click falls into. The search for the numbering costs in proportion.
    /// </summary>
    public int FramesToTry { get; init; } = 16;

    /// <summary>How many frames about the expected one are tried, the nearest first, when the clock was lost; as many as <see cref="FramesToTry"/> if null.</summary>
    public int? FramesWhenLost { get; init; }

    /// <summary>How many frames later than the first click, which may be a dark count, the light may begin with <see cref="FirstFrame"/>. The search costs in proportion.</summary>
    public int LongestWaitFrames { get; init; }

    /// <summary>Probability that one search for the period, or one for the numbering, ends with a wrong answer.</summary>
    public double FalseLockProbability { get; init; } = 1e-10;

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">They make no sense; the message says which.</exception>
    public void Validate()
    {
        Check(SlotPeriodPicoseconds is >= 50 and <= 1e9, nameof(SlotPeriodPicoseconds), "50 to 10^9 ps");
        Check(LargestDeviationPpm is > 0 and <= 1000, nameof(LargestDeviationPpm), "above 0, to 1000 ppm");
        Check(LargestDriftPpmPerSecond is > 0 and <= 100, nameof(LargestDriftPpmPerSecond), "above 0, to 100 ppm/s");
        Check(FrequencyWanderPpm is >= 0 and <= 10, nameof(FrequencyWanderPpm), "0 to 10");
        Check(DriftWanderPpm is > 0 and <= 10, nameof(DriftWanderPpm), "above 0, to 10");
        Check(Detectors is >= 1 and <= 64, nameof(Detectors), "1 to 64");
        Check(FrameSlots is >= 64 and <= 100_000_000 && PilotSlots % 64 == 0 && PilotSlots >= 64 && PilotSlots <= FrameSlots, nameof(PilotSlots), "a multiple of 64, at most a frame");
        Check(FirstFrame is >= 0 and <= 1L << 40, nameof(FirstFrame), "0 or more");
        Check(FramesToTry is >= 1 and <= 100_000, nameof(FramesToTry), "1 to 100 000");
        Check(FramesWhenLost is null or (>= 1 and <= 100_000), nameof(FramesWhenLost), "1 to 100 000");
        Check(LongestWaitFrames is >= 0 and <= 100_000, nameof(LongestWaitFrames), "0 to 100 000");
        Check(FalseLockProbability is > 0 and <= 0.01, nameof(FalseLockProbability), "above 0, to 0.01");
    }

    private static void Check(bool holds, string name, string range)
    {
        if (!holds)
        {
            throw new ArgumentException($"{name} must be {range}.", name);
        }
    }
}

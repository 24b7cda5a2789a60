namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>How an emulated ID900 is set up. Defaults are the instrument's own where its manual gives them.</summary>
public sealed record Id900Settings
{
    /// <summary>Bench name.</summary>
    public string Name { get; init; } = "tagger";

    /// <summary>Address to listen on; a numeric address of this machine.</summary>
    public string ListenAddress { get; init; } = "127.0.0.1";

    /// <summary>TCP port of the control socket; 0 picks a free one (the instrument's own is 5555).</summary>
    public int ControlPort { get; init; }

    /// <summary>TCP port of the stream service; 0 picks a free one (the service's own is 6060).</summary>
    public int ServicePort { get; init; }

    /// <summary>
    /// First of the four consecutive ports offered to the host for the streams; 0 picks free ones. The host says in
    /// <c>start-stream</c> which port it wants: this is only what <c>Options["StreamPort"]</c> proposes.
    /// </summary>
    public int StreamPort { get; init; }

    /// <summary>Answered in <c>*IDN?</c>.</summary>
    public string SerialNumber { get; init; } = "900-EMU-001";

    /// <summary>Answered in <c>*IDN?</c>.</summary>
    public string FirmwareVersion { get; init; } = "1.24.2";

    /// <summary>What the instrument's clock shows at bench time zero, in picoseconds.</summary>
    public long ClockOffsetPicoseconds { get; init; }

    /// <summary>How much faster than bench time the instrument's clock runs at bench time zero, in parts per million; ±1000.</summary>
    public double ClockOffsetPpm { get; init; }

    /// <summary>How fast <see cref="ClockOffsetPpm"/> grows, in parts per million per second; ±10.</summary>
    public double ClockDriftPpmPerSecond { get; init; }

    /// <summary>Seed of the nonsense that <see cref="InstrumentFault.Garbage"/> sends.</summary>
    public ulong Seed { get; init; }

    /// <summary>
    /// Longest stream message in bytes, a positive multiple of 16. A sub-acquisition that needs more arrives as several messages.
    /// A message a tag would cost far too much; beyond a megabyte the host's receiver spends more on fresh memory than it saves.
    /// </summary>
    public int MaxMessageBytes { get; init; } = 1_000_000;

    /// <summary>
    /// How many tags the instrument holds for the host, over all channels (16 bytes each). Beyond that tags are dropped and counted.
    /// </summary>
    public long BufferTags { get; init; } = 16_000_000;

    /// <summary>The instrument calls itself backlogged when more sub-acquisitions than this wait for the host.</summary>
    public int BacklogAcquisitions { get; init; } = 2;

    /// <summary>When so many sub-acquisitions wait for the host, the next ones are dropped and their tags counted.</summary>
    public int OverflowAcquisitions { get; init; } = 16;

    /// <summary>
    /// A host that has taken nothing for so long (wall time) is taken for gone: the instrument stops asking the bench to wait
    /// for it and overflows instead.
    /// </summary>
    public TimeSpan HostPatience { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>By how much <see cref="InstrumentFault.Late"/> delays each answer (wall time).</summary>
    public TimeSpan LateAnswerDelay { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Tags a second over all streamed channels that the instrument sustains over a sub-acquisition.</summary>
    public double MaximumTagRateHertz { get; init; } = 10e6;

    internal void Validate()
    {
        Require(MaxMessageBytes >= 16 && MaxMessageBytes % 16 == 0, nameof(MaxMessageBytes), "a positive multiple of 16");
        Require(BufferTags > 0, nameof(BufferTags), "positive");
        Require(BacklogAcquisitions > 0, nameof(BacklogAcquisitions), "positive");
        Require(OverflowAcquisitions > BacklogAcquisitions, nameof(OverflowAcquisitions), "more than BacklogAcquisitions");
        Require(Math.Abs(ClockOffsetPpm) <= 1000, nameof(ClockOffsetPpm), "within ±1000 ppm");
        Require(Math.Abs(ClockDriftPpmPerSecond) <= 10, nameof(ClockDriftPpmPerSecond), "within ±10 ppm/s");
        Require(MaximumTagRateHertz > 0, nameof(MaximumTagRateHertz), "positive");

        static void Require(bool holds, string setting, string rule)
        {
            if (!holds)
            {
                throw new ArgumentException($"ID900 emulator: {setting} must be {rule}.");
            }
        }
    }
}

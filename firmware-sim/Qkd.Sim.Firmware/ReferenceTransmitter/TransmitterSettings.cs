namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>How an emulated reference transmitter is set up.</summary>
public sealed record TransmitterSettings
{
    /// <summary>Bench name.</summary>
    public string Name { get; init; } = "transmitter";

    /// <summary>Address to listen on; a numeric address of this machine.</summary>
    public string ListenAddress { get; init; } = "127.0.0.1";

    /// <summary>TCP port; 0 picks a free one (the instrument's own is 5100).</summary>
    public int Port { get; init; }

    /// <summary>Answered to IDENTIFY.</summary>
    public string SerialNumber { get; init; } = "RT-EMU-001";

    /// <summary>Answered to IDENTIFY.</summary>
    public string FirmwareVersion { get; init; } = "1.0.0";

    /// <summary>Symbols a second.</summary>
    public double SymbolRateHertz { get; init; } = 100e6;

    /// <summary>Slots that the symbol buffer holds, a positive multiple of 64. Half a byte a slot.</summary>
    public int BufferSlots { get; init; } = 16_000_000;

    /// <summary>Largest marker divisor.</summary>
    public int MaximumMarkerDivisor { get; init; } = 1 << 20;

    /// <summary>Longest frame in slots.</summary>
    public int MaximumFrameSlots { get; init; } = 16_000_000;

    /// <summary>How long light stays on without a renewal (bench time).</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Whether the phase of each pulse is random.</summary>
    public bool PhaseRandomised { get; init; } = true;

    /// <summary>
    /// Mean photons a pulse at the output for each intensity, brightest first, 1 to 4 of them. The defaults stand as .45 : .15 : .001
    /// and reach these means behind 46.48 dB.
    /// </summary>
    public IReadOnlyList<double> PhotonsPerPulse { get; init; } = [20_000, 20_000 / 3.0, 20_000 / 450.0];

    /// <summary>Lowest laser temperature at which light is allowed, in degrees Celsius.</summary>
    public double LowestTemperatureCelsius { get; init; } = 20;

    /// <summary>Highest laser temperature at which light is allowed, in degrees Celsius.</summary>
    public double HighestTemperatureCelsius { get; init; } = 30;

    /// <summary>By how much <see cref="InstrumentFault.Late"/> delays each message (wall time).</summary>
    public TimeSpan LateAnswerDelay { get; init; } = TimeSpan.FromSeconds(2);

    internal void Validate()
    {
        Require(SymbolRateHertz > 0, nameof(SymbolRateHertz), "positive");
        Require(BufferSlots > 0 && BufferSlots % 64 == 0, nameof(BufferSlots), "a positive multiple of 64");
        Require(MaximumMarkerDivisor > 0, nameof(MaximumMarkerDivisor), "positive");
        Require(MaximumFrameSlots >= 64, nameof(MaximumFrameSlots), "at least 64");
        Require(Lease > TimeSpan.Zero, nameof(Lease), "positive");
        Require(PhotonsPerPulse.Count is >= 1 and <= 4, nameof(PhotonsPerPulse), "1 to 4 intensities");
        Require(PhotonsPerPulse.All(mean => mean >= 0), nameof(PhotonsPerPulse), "not negative");
        Require(PhotonsPerPulse.Zip(PhotonsPerPulse.Skip(1)).All(pair => pair.First >= pair.Second), nameof(PhotonsPerPulse), "brightest first");
        Require(LowestTemperatureCelsius < HighestTemperatureCelsius, nameof(LowestTemperatureCelsius), "below HighestTemperatureCelsius");

        static void Require(bool holds, string setting, string rule)
        {
            if (!holds)
            {
                throw new ArgumentException($"Reference transmitter emulator: {setting} must be {rule}.");
            }
        }
    }
}

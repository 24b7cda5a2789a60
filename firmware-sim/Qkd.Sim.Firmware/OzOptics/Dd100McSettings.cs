using Qkd.Sim.Firmware.Transport;

namespace Qkd.Sim.Firmware.OzOptics;

/// <summary>How an emulated DD-100-MC is set up.</summary>
public sealed record Dd100McSettings
{
    /// <summary>Bench name.</summary>
    public string Name { get; init; } = "attenuator";

    /// <summary>Where its serial line is.</summary>
    public SerialMedium Medium { get; init; }

    /// <summary>Address to listen on where the line is a TCP port; a numeric address of this machine.</summary>
    public string ListenAddress { get; init; } = "127.0.0.1";

    /// <summary>That TCP port; 0 picks a free one.</summary>
    public int Port { get; init; }

    /// <summary>Pace of the serial line in bit/s, ten bits a byte; the answer is late by the time that command and answer take. 0 for no such delay.</summary>
    public int BaudRate { get; init; } = 9600;

    /// <summary>Attenuation in dB at which it is switched on.</summary>
    public double PowerUpDecibels { get; init; } = 30;

    /// <summary>Whether it knows its position when it is switched on; otherwise it must be homed before it moves.</summary>
    public bool PositionKnown { get; init; } = true;

    /// <summary>Largest attenuation in dB; the smallest is 0.</summary>
    public double MaximumDecibels { get; init; } = 60;

    /// <summary>Motor steps for one dB.</summary>
    public int StepsPerDecibel { get; init; } = 200;

    /// <summary>Speed of the motor in dB/s of bench time.</summary>
    public double DecibelsPerSecond { get; init; } = 30;

    /// <summary>Time that homing takes besides the way to 0 dB, in bench time.</summary>
    public TimeSpan HomingTime { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>By how much <see cref="InstrumentFault.Late"/> delays an answer, in bench time.</summary>
    public TimeSpan LateBy { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Seed of the nonsense that <see cref="InstrumentFault.Garbage"/> sends.</summary>
    public ulong Seed { get; init; }

    internal void Validate()
    {
        Setting.Require(BaudRate >= 0, nameof(BaudRate), "0 or more");
        Setting.Require(MaximumDecibels is > 0 and <= 100, nameof(MaximumDecibels), "above 0 and up to 100 dB");
        Setting.Require(PowerUpDecibels >= 0 && PowerUpDecibels <= MaximumDecibels, nameof(PowerUpDecibels), "from 0 to MaximumDecibels");
        Setting.Require(StepsPerDecibel > 0, nameof(StepsPerDecibel), "positive");
        Setting.Require(DecibelsPerSecond > 0, nameof(DecibelsPerSecond), "positive");
        Setting.Require(HomingTime >= TimeSpan.Zero, nameof(HomingTime), "not negative");
        Setting.Require(LateBy > TimeSpan.Zero, nameof(LateBy), "positive");
    }
}

using Qkd.Sim.Firmware.Transport;

namespace Qkd.Sim.Firmware.Thorlabs;

/// <summary>How an emulated MPC320 is set up.</summary>
public sealed record Mpc320Settings
{
    /// <summary>Bench name.</summary>
    public string Name { get; init; } = "paddles";

    /// <summary>Where its serial line is.</summary>
    public SerialMedium Medium { get; init; }

    /// <summary>Address to listen on where the line is a TCP port; a numeric address of this machine.</summary>
    public string ListenAddress { get; init; } = "127.0.0.1";

    /// <summary>That TCP port; 0 picks a free one.</summary>
    public int Port { get; init; }

    /// <summary>Serial number.</summary>
    public uint SerialNumber { get; init; } = 38_000_001;

    /// <summary>Model, at most eight characters.</summary>
    public string Model { get; init; } = "MPC320";

    /// <summary>Paddle angles in degrees at which it is switched on, 0 to 170.</summary>
    public IReadOnlyList<double> PowerUpDegrees { get; init; } = [85, 85, 85];

    /// <summary>Whether it knows its positions when it is switched on; otherwise a paddle must be homed before it moves.</summary>
    public bool PositionsKnown { get; init; } = true;

    /// <summary>Velocity at power-up in per cent of 400 deg/s, 10 to 100.</summary>
    public int VelocityPercent { get; init; } = 50;

    /// <summary>Where a paddle goes after homing, in counts, 0 to 1370.</summary>
    public int HomeCounts { get; init; } = 685;

    /// <summary>Step of a jog in counts.</summary>
    public int JogCounts { get; init; } = 25;

    /// <summary>After how many answers to 0x0211 a stray zero byte is sent; 0 for never.</summary>
    public int StrayZeroEvery { get; init; } = 2;

    /// <summary>Time between the status messages of <c>0x0011</c>, in bench time.</summary>
    public TimeSpan UpdatePeriod { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Without <c>0x0492</c> for so long the status messages cease, in bench time; zero for never.</summary>
    public TimeSpan UpdateKeepAlive { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>By how much <see cref="InstrumentFault.Late"/> delays an answer, in bench time.</summary>
    public TimeSpan LateBy { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Seed of the nonsense that <see cref="InstrumentFault.Garbage"/> sends.</summary>
    public ulong Seed { get; init; }

    internal void Validate()
    {
        Setting.Require(Model is { Length: >= 1 and <= 8 }, nameof(Model), "one to eight characters");
        Setting.Require(
            PowerUpDegrees is { Count: Mpc320Emulator.PaddleCount } && PowerUpDegrees.All(angle => angle is >= 0 and <= 170),
            nameof(PowerUpDegrees),
            "three angles of 0 to 170 degrees");
        Setting.Require(VelocityPercent is >= 10 and <= 100, nameof(VelocityPercent), "10 to 100");
        Setting.Require(HomeCounts is >= 0 and <= Mpc320Emulator.CountsAtLimit, nameof(HomeCounts), "0 to 1370");
        Setting.Require(JogCounts is >= 0 and <= Mpc320Emulator.CountsAtLimit, nameof(JogCounts), "0 to 1370");
        Setting.Require(StrayZeroEvery >= 0, nameof(StrayZeroEvery), "0 or more");
        Setting.Require(UpdatePeriod > TimeSpan.Zero, nameof(UpdatePeriod), "positive");
        Setting.Require(UpdateKeepAlive >= TimeSpan.Zero, nameof(UpdateKeepAlive), "0 or more");
        Setting.Require(LateBy > TimeSpan.Zero, nameof(LateBy), "positive");
    }
}

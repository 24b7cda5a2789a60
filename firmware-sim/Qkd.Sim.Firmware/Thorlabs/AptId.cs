namespace Qkd.Sim.Firmware.Thorlabs;

/// <summary>Message ids from Thorlabs' APT communications protocol.</summary>
internal static class AptId
{
    public const ushort RequestInfo = 0x0005;
    public const ushort Info = 0x0006;
    public const ushort StartUpdates = 0x0011;
    public const ushort StopUpdates = 0x0012;
    public const ushort SetEnabled = 0x0210;
    public const ushort RequestEnabled = 0x0211;
    public const ushort Enabled = 0x0212;
    public const ushort Identify = 0x0223;
    public const ushort RequestPosition = 0x0411;
    public const ushort Position = 0x0412;
    public const ushort RequestStatusBits = 0x0429;
    public const ushort StatusBits = 0x042A;
    public const ushort Home = 0x0443;
    public const ushort Homed = 0x0444;
    public const ushort MoveAbsolute = 0x0453;
    public const ushort MoveCompleted = 0x0464;
    public const ushort Stop = 0x0465;
    public const ushort Stopped = 0x0466;
    public const ushort Jog = 0x046A;
    public const ushort RequestStatus = 0x0490;
    public const ushort Status = 0x0491;
    public const ushort KeepAlive = 0x0492;
    public const ushort SetParameters = 0x0530;
    public const ushort RequestParameters = 0x0531;
    public const ushort Parameters = 0x0532;
}

/// <summary>Bits of a motor's status word.</summary>
[Flags]
internal enum AptStatus : uint
{
    None = 0,
    ForwardLimit = 1u << 0,
    ReverseLimit = 1u << 1,
    MovingForward = 1u << 4,
    MovingReverse = 1u << 5,
    JoggingForward = 1u << 6,
    JoggingReverse = 1u << 7,
    Connected = 1u << 8,
    Homing = 1u << 9,
    Homed = 1u << 10,
    Settled = 1u << 13,
    MotionError = 1u << 14,
    Enabled = 1u << 31,
}

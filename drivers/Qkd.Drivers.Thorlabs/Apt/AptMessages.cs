using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Qkd.Drivers.Thorlabs.Apt;

/// <summary>Message ids, by their names in Thorlabs' protocol document without the MGMSG prefix.</summary>
internal static class AptId
{
    public const ushort RequestHardwareInfo = 0x0005;
    public const ushort HardwareInfo = 0x0006;
    public const ushort StartUpdates = 0x0011;
    public const ushort StopUpdates = 0x0012;
    public const ushort SetChannelEnable = 0x0210;
    public const ushort RequestChannelEnable = 0x0211;
    public const ushort ChannelEnable = 0x0212;
    public const ushort Identify = 0x0223;
    public const ushort Home = 0x0443;
    public const ushort Homed = 0x0444;
    public const ushort MoveAbsolute = 0x0453;
    public const ushort MoveCompleted = 0x0464;
    public const ushort Stop = 0x0465;
    public const ushort Stopped = 0x0466;
    public const ushort RequestStatus = 0x0490;
    public const ushort Status = 0x0491;
    public const ushort AcknowledgeUpdates = 0x0492;
    public const ushort SetPolarizerParameters = 0x0530;
    public const ushort RequestPolarizerParameters = 0x0531;
    public const ushort PolarizerParameters = 0x0532;
}

/// <summary>Bits of a motor's status word.</summary>
[Flags]
internal enum AptStatusBits : uint
{
    None = 0,
    ForwardLimit = 1 << 0,
    ReverseLimit = 1 << 1,
    MovingForward = 1 << 4,
    MovingReverse = 1 << 5,
    JoggingForward = 1 << 6,
    JoggingReverse = 1 << 7,
    Connected = 1 << 8,
    Homing = 1 << 9,
    Homed = 1 << 10,
    Tracking = 1 << 12,
    Settled = 1 << 13,
    MotionError = 1 << 14,
    CurrentLimit = 1 << 24,
    Enabled = 1u << 31,

    InMotion = MovingForward | MovingReverse | JoggingForward | JoggingReverse | Homing,
}

/// <summary>What the instrument is: message 0x0006.</summary>
internal sealed record AptHardwareInfo(uint SerialNumber, string Model, ushort Type, string Firmware, ushort HardwareVersion, ushort ModificationState, ushort Channels)
{
    public const int Length = 84;

    /// <summary>Reads the message; null if it is another or too short.</summary>
    public static AptHardwareInfo? TryRead(AptFrame frame)
    {
        var data = frame.Data.Span;
        if (frame.Id != AptId.HardwareInfo || data.Length < Length)
        {
            return null;
        }

        // Firmware: minor, interim and major revision, one byte each, lowest first.
        return new(
            BinaryPrimitives.ReadUInt32LittleEndian(data),
            Encoding.ASCII.GetString(data.Slice(4, 8)).TrimEnd('\0', ' '),
            BinaryPrimitives.ReadUInt16LittleEndian(data[12..]),
            string.Create(CultureInfo.InvariantCulture, $"{data[16]}.{data[15]}.{data[14]}"),
            BinaryPrimitives.ReadUInt16LittleEndian(data[78..]),
            BinaryPrimitives.ReadUInt16LittleEndian(data[80..]),
            BinaryPrimitives.ReadUInt16LittleEndian(data[82..]));
    }
}

/// <summary>State of one motor: data of 0x0491 (status) and of 0x0464 (move completed).</summary>
/// <param name="Channel">Channel bit: 1, 2 or 4 on a paddle controller.</param>
/// <param name="Position">Position in counts.</param>
/// <param name="Velocity">Velocity in the instrument's unit.</param>
/// <param name="CurrentMilliamperes">Motor current.</param>
/// <param name="Bits">Status word.</param>
internal sealed record AptMotorStatus(ushort Channel, int Position, short Velocity, short CurrentMilliamperes, AptStatusBits Bits)
{
    public const int Length = 14;

    public bool InMotion => (Bits & AptStatusBits.InMotion) != 0;

    public bool Homed => (Bits & AptStatusBits.Homed) != 0;

    public bool MotionError => (Bits & AptStatusBits.MotionError) != 0;

    /// <summary>Reads the data of either message; null if it is another or too short.</summary>
    public static AptMotorStatus? TryRead(AptFrame frame)
    {
        var data = frame.Data.Span;
        return frame.Id is AptId.Status or AptId.MoveCompleted && data.Length >= Length
            ? new(
                BinaryPrimitives.ReadUInt16LittleEndian(data),
                BinaryPrimitives.ReadInt32LittleEndian(data[2..]),
                BinaryPrimitives.ReadInt16LittleEndian(data[6..]),
                BinaryPrimitives.ReadInt16LittleEndian(data[8..]),
                (AptStatusBits)BinaryPrimitives.ReadUInt32LittleEndian(data[10..]))
            : null;
    }
}

/// <summary>Parameters of a paddle controller, messages 0x0530 and 0x0532; positions and steps in counts.</summary>
/// <param name="VelocityPercent">10 to 100.</param>
/// <param name="HomeOffset">Position taken after homing.</param>
/// <param name="JogStep1">Step of a jog of paddle 1.</param>
/// <param name="JogStep2">Of paddle 2.</param>
/// <param name="JogStep3">Of paddle 3.</param>
internal sealed record AptPolarizerParameters(ushort VelocityPercent, ushort HomeOffset, ushort JogStep1, ushort JogStep2, ushort JogStep3)
{
    public const int Length = 12;

    /// <summary>Reads the message; null if it is another or too short.</summary>
    public static AptPolarizerParameters? TryRead(AptFrame frame)
    {
        if (frame.Id != AptId.PolarizerParameters || frame.Data.Length < Length)
        {
            return null;
        }

        return new(Word(1), Word(2), Word(3), Word(4), Word(5));

        ushort Word(int index) => BinaryPrimitives.ReadUInt16LittleEndian(frame.Data.Span[(2 * index)..]);
    }

    /// <summary>The message that sets them.</summary>
    public AptFrame ToFrame()
    {
        var data = new byte[Length];
        ushort[] words = [0, VelocityPercent, HomeOffset, JogStep1, JogStep2, JogStep3];
        for (var index = 0; index < words.Length; index++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(data.AsSpan(2 * index), words[index]);
        }

        return AptFrame.Long(AptId.SetPolarizerParameters, data);
    }
}

/// <summary>Requests that carry more than two bytes.</summary>
internal static class AptRequests
{
    /// <summary>Moves a channel to a position in counts.</summary>
    public static AptFrame MoveAbsolute(ushort channel, int position)
    {
        var data = new byte[6];
        BinaryPrimitives.WriteUInt16LittleEndian(data, channel);
        BinaryPrimitives.WriteInt32LittleEndian(data.AsSpan(2), position);
        return AptFrame.Long(AptId.MoveAbsolute, data);
    }
}

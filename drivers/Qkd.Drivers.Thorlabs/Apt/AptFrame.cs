using System.Buffers.Binary;
using System.Globalization;

namespace Qkd.Drivers.Thorlabs.Apt;

/// <summary>
/// One frame of Thorlabs' APT protocol (Motion Controllers Host-Controller Communications Protocol), little-endian:
/// </summary>
/// <remarks>
/// <code>
/// short  | id u16 | parameter 1 | parameter 2 | destination      | source |
/// long   | id u16 | data length u16           | destination|0x80 | source | data ... |
/// </code>
/// </remarks>
internal sealed record AptFrame
{
    public const int HeaderLength = 6;
    public const byte Host = 0x01;
    public const byte Device = 0x50;
    private const byte HasData = 0x80;

    private AptFrame(ushort id) => Id = id;

    public ushort Id { get; }

    /// <summary>First parameter of a short frame.</summary>
    public byte Parameter1 { get; private init; }

    /// <summary>Second parameter of a short frame.</summary>
    public byte Parameter2 { get; private init; }

    public byte Destination { get; private init; } = Device;

    public byte Source { get; private init; } = Host;

    /// <summary>Data of a long frame; empty in a short one.</summary>
    public ReadOnlyMemory<byte> Data { get; private init; }

    public bool IsLong { get; private init; }

    /// <summary>A frame without data from host to device.</summary>
    public static AptFrame Short(ushort id, byte parameter1 = 0, byte parameter2 = 0) =>
        new(id) { Parameter1 = parameter1, Parameter2 = parameter2 };

    /// <summary>A frame with data from host to device.</summary>
    public static AptFrame Long(ushort id, ReadOnlyMemory<byte> data) => new(id) { Data = data, IsLong = true };

    /// <summary>The bytes on the wire.</summary>
    public byte[] ToBytes()
    {
        var bytes = new byte[HeaderLength + Data.Length];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, Id);
        if (IsLong)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), (ushort)Data.Length);
            Data.Span.CopyTo(bytes.AsSpan(HeaderLength));
        }
        else
        {
            (bytes[2], bytes[3]) = (Parameter1, Parameter2);
        }

        bytes[4] = (byte)(IsLong ? Destination | HasData : Destination);
        bytes[5] = Source;
        return bytes;
    }

    /// <summary>
    /// Reads a frame that the device sent to the host.
    /// </summary>
    /// <param name="bytes">What has been received.</param>
    /// <param name="frame">The frame; null where the bytes do not begin with one, or not with all of it.</param>
    /// <returns>Bytes of the frame; 0 to wait for more; -1 where no frame begins here.</returns>
    public static int TryRead(ReadOnlySpan<byte> bytes, out AptFrame? frame)
    {
        const int LongestData = 1024;
        frame = null;
        if (bytes.Length < HeaderLength)
        {
            return 0;
        }

        var (destination, source) = (bytes[4], bytes[5]);
        if ((destination & ~HasData) != Host || source != Device)
        {
            return -1;
        }

        var id = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
        if ((destination & HasData) == 0)
        {
            frame = new(id) { Parameter1 = bytes[2], Parameter2 = bytes[3], Destination = destination, Source = source };
            return HeaderLength;
        }

        var length = BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]);
        if (length > LongestData)
        {
            return -1;
        }

        if (bytes.Length < HeaderLength + length)
        {
            return 0;
        }

        frame = new(id) { IsLong = true, Destination = Host, Source = source, Data = bytes.Slice(HeaderLength, length).ToArray() };
        return HeaderLength + length;
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"0x{Id:X4} ({Convert.ToHexString(ToBytes())})");
}

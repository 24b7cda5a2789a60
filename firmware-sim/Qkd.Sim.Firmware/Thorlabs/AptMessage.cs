using System.Buffers.Binary;

namespace Qkd.Sim.Firmware.Thorlabs;

/// <summary>A message from the host. Short ones carry two parameters, long ones data.</summary>
/// <param name="Id">Message id.</param>
/// <param name="Parameter1">First parameter of a short message.</param>
/// <param name="Parameter2">Second parameter of a short message.</param>
/// <param name="Data">Data of a long message; null for a short one.</param>
internal sealed record AptMessage(ushort Id, byte Parameter1, byte Parameter2, byte[]? Data)
{
    public const int HeaderLength = 6;

    private const byte Host = 0x01;
    private const byte Instrument = 0x50;
    private const byte LongFlag = 0x80;
    private const int LongestData = 255;

    /// <summary>
    /// Takes the message at the head of the bytes. Layout, little-endian: id (2), then either two parameters or the length (2), then
    /// destination (bit 7 set where data follow) and source, then the data.
    /// </summary>
    /// <returns>Bytes taken; 0 if more are needed; -1 if no message for this instrument can begin here.</returns>
    public static int TryRead(ReadOnlySpan<byte> bytes, out AptMessage? message)
    {
        message = null;
        if (bytes.Length < HeaderLength)
        {
            return 0;
        }

        if ((bytes[4] & ~LongFlag) != Instrument || bytes[5] != Host)
        {
            return -1;
        }

        var id = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
        if ((bytes[4] & LongFlag) == 0)
        {
            message = new(id, bytes[2], bytes[3], null);
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

        message = new(id, 0, 0, bytes.Slice(HeaderLength, length).ToArray());
        return HeaderLength + length;
    }

    /// <summary>A short message to the host.</summary>
    public static byte[] Short(ushort id, byte parameter1, byte parameter2) =>
        [(byte)id, (byte)(id >> 8), parameter1, parameter2, Host, Instrument];

    /// <summary>A long message to the host.</summary>
    public static byte[] Long(ushort id, ReadOnlySpan<byte> data) =>
        [(byte)id, (byte)(id >> 8), (byte)data.Length, (byte)(data.Length >> 8), Host | LongFlag, Instrument, .. data];
}

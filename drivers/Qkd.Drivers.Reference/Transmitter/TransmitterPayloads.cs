using System.Buffers.Binary;
using System.Text;
using Qkd.Devices;

namespace Qkd.Drivers.Reference.Transmitter;

/// <summary>A payload ended early, or a value in it makes no sense.</summary>
internal sealed class PayloadException(string problem) : Exception(problem);

/// <summary>Answer to CAPABILITIES.</summary>
internal sealed record TransmitterCapabilities(
    double SymbolRateHertz, long BufferSlots, int LargestMarkerDivisor, int LargestFrame, TimeSpan Lease, IReadOnlyList<SymbolMode> Modes, bool PhaseRandomised, IReadOnlyList<double> PhotonsPerPulse)
{
    public static TransmitterCapabilities Read(ReadOnlyMemory<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var rate = reader.Double();
        var buffer = reader.Long();
        var (divisor, frame, lease) = (reader.Int(), reader.Int(), reader.Int());
        var modes = reader.Byte();
        var randomised = reader.Byte();
        var photons = new double[reader.Byte()];
        for (var i = 0; i < photons.Length; i++)
        {
            photons[i] = reader.Double();
        }

        reader.End();
        if (!(rate > 0 && double.IsFinite(rate)) || buffer < 64 || divisor < 1 || frame < 64 || lease < 1 || photons.Length is < 1 or > 4 || modes is 0 or > 3
            || !photons.All(mean => mean >= 0 && double.IsFinite(mean)) || photons.Zip(photons.Skip(1)).Any(pair => pair.First < pair.Second))
        {
            throw new PayloadException(FormattableString.Invariant(
                $"symbol rate {rate} Hz, buffer {buffer} slots, marker divisor {divisor}, frame {frame} slots, lease {lease} ms, modes {modes}, intensities {string.Join(", ", photons)}"));
        }

        return new(
            rate,
            buffer,
            divisor,
            frame,
            TimeSpan.FromMilliseconds(lease),
            [.. new[] { SymbolMode.Stream, SymbolMode.Seeded }.Where((_, bit) => (modes >> bit & 1) == 1)],
            randomised == 1,
            photons);
    }
}

/// <summary>Answer to STATUS.</summary>
internal sealed record TransmitterStatus(
    bool Emitting, InterlockState Interlock, bool Running, double TemperatureCelsius, long NextSlot, long BufferedSlots, long Underruns, string Fault)
{
    private const int KnownInterlocks = 31;

    public static TransmitterStatus Read(ReadOnlyMemory<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var status = new TransmitterStatus(
            reader.Byte() != 0,
            Interlocks(reader.Byte()),
            reader.Byte() != 0,
            reader.Float(),
            reader.Long(),
            reader.Long(),
            (uint)reader.Int(allowNegative: true),
            reader.Text());
        reader.End();
        return status;
    }

    /// <summary>A bit that this version does not know holds the light off too, and must not read as closed.</summary>
    private static InterlockState Interlocks(byte bits) =>
        (InterlockState)(bits & KnownInterlocks) | ((bits & ~KnownInterlocks) != 0 ? InterlockState.Fault : 0);
}

/// <summary>Reads a payload from its beginning.</summary>
internal sealed class PayloadReader(ReadOnlyMemory<byte> payload)
{
    private int _at;

    public byte Byte() => Take(1)[0];

    public int Int(bool allowNegative = false)
    {
        var value = BinaryPrimitives.ReadInt32LittleEndian(Take(4));
        return value >= 0 || allowNegative ? value : throw new PayloadException($"a number of {(uint)value} is too large");
    }

    public long Long()
    {
        var value = BinaryPrimitives.ReadInt64LittleEndian(Take(8));
        return value >= 0 ? value : throw new PayloadException($"a number of {(ulong)value} is too large");
    }

    public double Double() => BinaryPrimitives.ReadDoubleLittleEndian(Take(8));

    public double Float() => BinaryPrimitives.ReadSingleLittleEndian(Take(4));

    public string Text() => Encoding.UTF8.GetString(Take(Byte()));

    public void End()
    {
        if (_at != payload.Length)
        {
            throw new PayloadException($"{payload.Length - _at} bytes too many");
        }
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (payload.Length - _at < count)
        {
            throw new PayloadException($"ends after {payload.Length} bytes");
        }

        _at += count;
        return payload.Span.Slice(_at - count, count);
    }
}

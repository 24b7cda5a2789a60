using System.Buffers.Binary;

namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>How slots are framed, marked and filled.</summary>
internal sealed record Plan(bool Seeded, int FrameSlots, int PilotSlots, int MarkerDivisor);

/// <summary>Reads the payload of CONFIGURE and holds it against the capabilities.</summary>
internal static class ConfigureRequest
{
    private const int FixedLength = 15;

    /// <exception cref="RefusalException">Wrong form, or outside the capabilities.</exception>
    public static (Plan Plan, int XWeight, ushort[] IntensityWeights) Read(ReadOnlySpan<byte> payload, TransmitterSettings settings)
    {
        if (payload.Length < FixedLength || payload.Length != FixedLength + (2 * payload[14]))
        {
            throw new RefusalException(RefusalCode.WrongForm, $"payload of {payload.Length} bytes");
        }

        var mode = payload[0];
        var frame = BinaryPrimitives.ReadUInt32LittleEndian(payload[1..]);
        var pilot = BinaryPrimitives.ReadUInt32LittleEndian(payload[5..]);
        var divisor = BinaryPrimitives.ReadUInt32LittleEndian(payload[9..]);
        var xWeight = payload[13];
        var weights = new ushort[payload[14]];
        for (var i = 0; i < weights.Length; i++)
        {
            weights[i] = BinaryPrimitives.ReadUInt16LittleEndian(payload[(FixedLength + (2 * i))..]);
        }

        Require(mode is 1 or 2, $"mode {mode}");
        Require(divisor >= 1 && divisor <= settings.MaximumMarkerDivisor, $"marker divisor {divisor}");
        Require(
            frame >= 64 && frame <= settings.MaximumFrameSlots && frame % 64 == 0 && frame % divisor == 0,
            $"frame of {frame} slots with marker divisor {divisor}");
        Require(pilot <= frame && pilot % 64 == 0, $"pilot of {pilot} slots");
        if (mode == 1)
        {
            Require(weights.Length == 0, "weights in stream mode");
        }
        else
        {
            Require(xWeight <= 128, $"X-basis weight {xWeight} of 128");
            Require(
                weights.Length == settings.PhotonsPerPulse.Count && weights.Sum(weight => weight) == 256,
                $"intensity weights {string.Join(", ", weights)}: {settings.PhotonsPerPulse.Count} of sum 256 are wanted");
        }

        return (new Plan(mode == 2, (int)frame, (int)pilot, (int)divisor), xWeight, weights);

        static void Require(bool holds, string what)
        {
            if (!holds)
            {
                throw new RefusalException(RefusalCode.OutOfRange, $"outside the capabilities: {what}");
            }
        }
    }
}

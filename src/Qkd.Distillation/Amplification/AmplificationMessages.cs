using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>The seed message: <c>u32 bits of the block; n - 1 seed bits, packed into 64-bit words</c>.</summary>
internal static class AmplificationMessages
{
    private const int HeaderBytes = 4;

    public static ulong[] CreateSeed(int blockBits, ISecretRandomness randomness, IBufferWriter<byte> message)
    {
        var seed = GC.AllocateUninitializedArray<ulong>(BitString.WordCount(blockBits - 1));
        var bytes = MemoryMarshal.AsBytes(seed.AsSpan());
        randomness.Fill(bytes);
        if ((blockBits - 1 & 63) != 0)
        {
            seed[^1] &= (1UL << (blockBits - 1)) - 1;
        }

        // One request, so that the buffer grows once: a seed may be of many megabytes.
        var target = message.GetSpan(HeaderBytes + bytes.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(target, (uint)blockBits);
        bytes.CopyTo(target[HeaderBytes..]);
        message.Advance(HeaderBytes + bytes.Length);
        return seed;
    }

    public static ulong[] ReadSeed(int blockBits, ReadOnlySpan<byte> message)
    {
        var reader = new MessageReader(message, "amplification seed");
        if (reader.ReadUInt32() != (uint)blockBits || reader.Left != 8 * BitString.WordCount(blockBits - 1))
        {
            throw reader.Malformed($"the block has {blockBits} bits");
        }

        var seed = GC.AllocateUninitializedArray<ulong>(BitString.WordCount(blockBits - 1));
        reader.ReadBits(blockBits - 1, seed);
        reader.End();
        return seed;
    }
}

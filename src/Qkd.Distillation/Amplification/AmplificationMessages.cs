using System.Buffers;
using System.Runtime.InteropServices;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>The seed message: <c>u32 bits of the block; n - 1 seed bits, packed into 64-bit words</c>.</summary>
internal static class AmplificationMessages
{
    public static ulong[] CreateSeed(int blockBits, ISecretRandomness randomness, IBufferWriter<byte> message)
    {
        var seed = new ulong[BitString.WordCount(blockBits - 1)];
        randomness.Fill(MemoryMarshal.AsBytes(seed.AsSpan()));
        if ((blockBits - 1 & 63) != 0)
        {
            seed[^1] &= (1UL << (blockBits - 1)) - 1;
        }

        message.WriteUInt32((uint)blockBits);
        message.WriteWords(seed);
        return seed;
    }

    public static ulong[] ReadSeed(int blockBits, ReadOnlySpan<byte> message)
    {
        var reader = new MessageReader(message, "amplification seed");
        if (reader.ReadUInt32() != (uint)blockBits || reader.Left != 8 * BitString.WordCount(blockBits - 1))
        {
            throw reader.Malformed($"the block has {blockBits} bits");
        }

        var seed = new ulong[BitString.WordCount(blockBits - 1)];
        reader.ReadBits(blockBits - 1, seed);
        reader.End();
        return seed;
    }
}

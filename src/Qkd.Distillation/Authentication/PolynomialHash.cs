using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>
/// The polynomial hash over GF(2^128): blocks m1 .. mn of 16 bytes become m1 H^n + m2 H^(n-1) + .. + mn H. Two different messages of at
/// most n blocks that end in their length agree for at most n of the 2^128 keys H.
/// </summary>
internal struct PolynomialHash
{
    private const int BlocksAtOnce = 8;

    private readonly Powers _powers;
    private Gf128 _value;

    /// <summary>Begins a hash with the key H.</summary>
    public PolynomialHash(Gf128 key)
    {
        var power = key;
        _powers[BlocksAtOnce - 1] = key;
        for (var i = BlocksAtOnce - 2; i >= 0; i--)
        {
            power = Gf128.Multiply(power, key);
            _powers[i] = power;
        }
    }

    /// <summary>The hash of what was appended so far.</summary>
    public readonly Gf128 Value => _value;

    /// <summary>Blocks appended so far: the degree of the polynomial.</summary>
    public long Blocks { get; private set; }

    /// <summary>Appends bytes, the last block filled up with zeros.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        var whole = bytes.Length / 16;
        AppendBlocks(MemoryMarshal.Cast<byte, ulong>(bytes[..(16 * whole)]), usePlain: false);
        if (bytes.Length % 16 != 0)
        {
            Span<byte> last = stackalloc byte[16];
            last.Clear();
            bytes[(16 * whole)..].CopyTo(last);
            AppendBlock(Gf128.Read(last));
        }
    }

    /// <summary>Appends words, the last block filled up with zeros.</summary>
    public void AppendWords(ReadOnlySpan<ulong> words)
    {
        AppendBlocks(words[..(words.Length & ~1)], usePlain: false);
        if (words.Length % 2 != 0)
        {
            AppendBlock(new(words[^1], 0));
        }
    }

    /// <summary>Appends the length that ends a message.</summary>
    public void AppendLength(long length) => AppendBlock(new((ulong)length, 0));

    /// <summary>Appends one block.</summary>
    public void AppendBlock(Gf128 block)
    {
        _value = Gf128.Multiply(_value ^ block, _powers[BlocksAtOnce - 1]);
        Blocks++;
    }

    /// <summary>Appends whole blocks of two words.</summary>
    internal void AppendBlocks(ReadOnlySpan<ulong> words, bool usePlain)
    {
        const int wordsAtOnce = 2 * BlocksAtOnce;
        if (!usePlain && Pclmulqdq.IsSupported)
        {
            for (; words.Length >= wordsAtOnce; words = words[wordsAtOnce..])
            {
                _value = Pclmulqdq.V256.IsSupported ? Fold256(words) : Fold128(words);
                Blocks += BlocksAtOnce;
            }
        }

        for (; words.Length >= 2; words = words[2..])
        {
            AppendBlock(new(words[0], words[1]));
        }
    }

    /// <summary>Eight blocks with one reduction, two at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly Gf128 Fold256(ReadOnlySpan<ulong> words)
    {
        ref var message = ref MemoryMarshal.GetReference(words);
        ref var powers = ref Unsafe.As<Powers, ulong>(ref Unsafe.AsRef(in _powers));
        Vector256<ulong> low = default, middle = default, high = default;
        var chained = Vector256.Create(_value.Low, _value.High, 0, 0);
        for (nuint i = 0; i < 2 * BlocksAtOnce; i += 4)
        {
            var m = Vector256.LoadUnsafe(ref message, i) ^ chained;
            var p = Vector256.LoadUnsafe(ref powers, i);
            low ^= Pclmulqdq.V256.CarrylessMultiply(m, p, 0x00);
            middle ^= Pclmulqdq.V256.CarrylessMultiply(m, p, 0x01) ^ Pclmulqdq.V256.CarrylessMultiply(m, p, 0x10);
            high ^= Pclmulqdq.V256.CarrylessMultiply(m, p, 0x11);
            chained = default;
        }

        return Reduce(low.GetLower() ^ low.GetUpper(), middle.GetLower() ^ middle.GetUpper(), high.GetLower() ^ high.GetUpper());
    }

    /// <summary>Eight blocks with one reduction, one at a time.</summary>
    internal readonly Gf128 Fold128(ReadOnlySpan<ulong> words)
    {
        ref var message = ref MemoryMarshal.GetReference(words);
        ref var powers = ref Unsafe.As<Powers, ulong>(ref Unsafe.AsRef(in _powers));
        Vector128<ulong> low = default, middle = default, high = default;
        var chained = Vector128.Create(_value.Low, _value.High);
        for (nuint i = 0; i < 2 * BlocksAtOnce; i += 2)
        {
            var m = Vector128.LoadUnsafe(ref message, i) ^ chained;
            var p = Vector128.LoadUnsafe(ref powers, i);
            low ^= Pclmulqdq.CarrylessMultiply(m, p, 0x00);
            middle ^= Pclmulqdq.CarrylessMultiply(m, p, 0x01) ^ Pclmulqdq.CarrylessMultiply(m, p, 0x10);
            high ^= Pclmulqdq.CarrylessMultiply(m, p, 0x11);
            chained = default;
        }

        return Reduce(low, middle, high);
    }

    private static Gf128 Reduce(Vector128<ulong> low, Vector128<ulong> middle, Vector128<ulong> high) =>
        Gf128.Reduce(low.GetElement(0), low.GetElement(1) ^ middle.GetElement(0), high.GetElement(0) ^ middle.GetElement(1), high.GetElement(1));

    /// <summary>H^8 first, H last.</summary>
    [InlineArray(BlocksAtOnce)]
    private struct Powers
    {
        private Gf128 _first;
    }
}

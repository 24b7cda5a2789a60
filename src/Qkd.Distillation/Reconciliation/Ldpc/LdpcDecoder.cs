using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;

namespace Qkd.Distillation;

/// <summary>
/// Finds the symbols that have a given syndrome and are most likely, by passing messages: block row after block row, each with what the
/// rows before it have found out (D. E. Hocevar, 2004), in bytes. One frame at a time; a decoder serves one thread.
/// </summary>
/// <remarks>
/// A symbol's reliability is one signed byte, negative for a 1, counted as <see cref="LdpcTables"/> says. A check's answer to its least
/// reliable symbol leaves that symbol out, and its answer to all others is one and the same, made of all (C. Jones et al., "Approximate-MIN*
/// constraint node updating for LDPC code decoding", MILCOM 2003). Each block of Z symbols stands in Z + 64 bytes, the first 32 repeated after the last, so that 32
/// symbols from any place on are one load.
/// </remarks>
internal sealed class LdpcDecoder : IDisposable
{
    /// <summary>Largest reliability of a symbol, for one that is known.</summary>
    public const sbyte Known = 127;

    /// <summary>Rounds after which a frame is given up: those that succeed near the largest error rate of a code take 20 to 50.</summary>
    public const int MostRounds = 70;

    /// <summary>Symbols a step of the vector kernel.</summary>
    public const int Lanes = 32;

    private const int Padding = 64;
    private readonly LdpcCode _code;
    private readonly bool _plain;
    private readonly int[] _bases;
    private readonly Bytes _symbols;
    private readonly Bytes _messages;
    private readonly Bytes _syndrome;
    private readonly Bytes _scratch;

    /// <summary>Creates a decoder of a code.</summary>
    /// <param name="code">The code.</param>
    /// <param name="plain">Whether to do without the processor's vectors.</param>
    public LdpcDecoder(LdpcCode code, bool plain = false)
    {
        _code = code;
        _plain = plain || !Avx2.IsSupported;
        _symbols = new(code.BlockColumns * Stride);
        _messages = new(code.Entries * code.Lift);
        _syndrome = new(code.Checks);
        _scratch = new(code.LargestRow * Lanes);
        _bases = [.. Enumerable.Range(0, code.BlockRows).SelectMany(row => code.ColumnsOf(row).ToArray()).Select(column => column * Stride)];
    }

    private int Stride => _code.Lift + Padding;

    /// <summary>Begins a frame: every symbol as it was received, equally reliable.</summary>
    /// <param name="symbols">n bits.</param>
    /// <param name="syndrome">m bits: the syndrome to be reached.</param>
    /// <param name="reliability">Reliability of a symbol, in the steps of <see cref="LdpcTables"/>.</param>
    public void Begin(ReadOnlySpan<ulong> symbols, ReadOnlySpan<ulong> syndrome, sbyte reliability)
    {
        var words = _code.Lift / 64;
        for (var column = 0; column < _code.BlockColumns; column++)
        {
            Expand(symbols.Slice(column * words, words), _symbols.Span.Slice(column * Stride, _code.Lift), reliability, (sbyte)-reliability);
        }

        Expand(syndrome, _syndrome.Span, 0, sbyte.MinValue);
        _messages.Span.Clear();
    }

    /// <summary>Says that nothing is known of some symbols of a block column.</summary>
    public void Erase(int column, int first, int count) => _symbols.Span.Slice((column * Stride) + first, count).Clear();

    /// <summary>Says that some symbols of a block column are zeros.</summary>
    public void Fix(int column, int first, int count) => _symbols.Span.Slice((column * Stride) + first, count).Fill(Known);

    /// <summary>Says what a symbol is.</summary>
    public void Learn(int symbol, int bit) =>
        _symbols.Span[Place(symbol)] = bit == 0 ? Known : (sbyte)-Known;

    /// <summary>A symbol's reliability as far as it has been found out; negative for a 1.</summary>
    public sbyte this[int symbol] => _symbols.Span[Place(symbol)];

    /// <summary>Passes messages until the syndrome is reached.</summary>
    /// <param name="most">Most rounds over all rows.</param>
    /// <returns>The rounds it took; 0 if the syndrome was not reached.</returns>
    public int Run(int most)
    {
        for (var column = 0; column < _code.BlockColumns; column++)
        {
            var block = _symbols.Span.Slice(column * Stride, Stride);
            block[..Lanes].CopyTo(block[_code.Lift..]);
        }

        for (var round = 1; round <= most; round++)
        {
            for (var row = 0; row < _code.BlockRows; row++)
            {
                if (_plain)
                {
                    LayerOf(row, round).UpdatePlain();
                }
                else
                {
                    LayerOf(row, round).Update();
                }
            }

            if (IsReached())
            {
                return round;
            }
        }

        return 0;
    }

    /// <summary>The symbols as they are now judged.</summary>
    /// <param name="symbols">n bits, written over.</param>
    public void Read(Span<ulong> symbols)
    {
        var words = _code.Lift / 64;
        for (var column = 0; column < _code.BlockColumns; column++)
        {
            Contract(_symbols.Span.Slice(column * Stride, _code.Lift), symbols.Slice(column * words, words));
        }
    }

    /// <summary>Erases all that it knows of the frame.</summary>
    public void Dispose()
    {
        foreach (var bytes in new[] { _symbols, _messages, _syndrome, _scratch })
        {
            CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(bytes.Span));
        }
    }

    /// <summary>Whether all checks have the parities that they should. As a rule the first few show that they have not.</summary>
    private bool IsReached()
    {
        for (var row = 0; row < _code.BlockRows; row++)
        {
            if (!(_plain ? LayerOf(row, 0).IsSatisfiedPlain() : LayerOf(row, 0).IsSatisfied()))
            {
                return false;
            }
        }

        return true;
    }

    private LdpcLayer LayerOf(int row, int round)
    {
        var first = _code.EntriesBefore(row);
        return new()
        {
            Symbols = _symbols.Span,
            Messages = _messages.Span.Slice(first * _code.Lift, _code.ColumnsOf(row).Length * _code.Lift),
            Syndrome = _syndrome.Span.Slice(row * _code.Lift, _code.Lift),
            Scratch = _scratch.Span,
            Turn = row + (3 * round),
            Bases = _bases.AsSpan(first, _code.ColumnsOf(row).Length),
            Shifts = _code.ShiftsOf(row),
        };
    }

    private int Place(int symbol) => (symbol / _code.Lift * Stride) + (symbol & (_code.Lift - 1));

    /// <summary>Turns each bit into a byte.</summary>
    private static void Expand(ReadOnlySpan<ulong> bits, Span<sbyte> bytes, sbyte zero, sbyte one)
    {
        if (!Vector256.IsHardwareAccelerated)
        {
            for (var i = 0; i < bytes.Length; i++)
            {
                bytes[i] = (bits[i >> 6] >> i & 1) == 0 ? zero : one;
            }

            return;
        }

        var (zeros, ones) = (Vector256.Create(zero), Vector256.Create(one));
        var bitOfByte = Vector256.Create(0x8040_2010_0804_0201UL).AsByte();
        var spread = Vector256.Create(0UL, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303).AsByte();
        for (var i = 0; i < bytes.Length; i += Lanes)
        {
            var word = Vector256.Create((uint)(bits[i >> 6] >> (i & 32))).AsByte();
            var isOne = Vector256.Equals(Vector256.Shuffle(word, spread) & bitOfByte, bitOfByte).AsSByte();
            Vector256.ConditionalSelect(isOne, ones, zeros).CopyTo(bytes[i..]);
        }
    }

    /// <summary>Turns each byte into a bit: its sign.</summary>
    private static void Contract(ReadOnlySpan<sbyte> bytes, Span<ulong> bits)
    {
        for (var i = 0; i < bits.Length; i++)
        {
            var low = Vector256.Create(bytes.Slice(64 * i, Lanes)).ExtractMostSignificantBits();
            var high = Vector256.Create(bytes.Slice((64 * i) + Lanes, Lanes)).ExtractMostSignificantBits();
            bits[i] = low | (ulong)high << 32;
        }
    }

    /// <summary>Memory that the collector does not move, beginning on a cache line.</summary>
    private sealed class Bytes
    {
        private const int Line = 64;
        private readonly sbyte[] _memory;
        private readonly int _start;
        private readonly int _length;

        public Bytes(int length)
        {
            _memory = GC.AllocateArray<sbyte>(length + Line, pinned: true);
            _start = (int)(-Marshal.UnsafeAddrOfPinnedArrayElement(_memory, 0) & (Line - 1));
            _length = length;
        }

        public Span<sbyte> Span => _memory.AsSpan(_start, _length);

    }
}

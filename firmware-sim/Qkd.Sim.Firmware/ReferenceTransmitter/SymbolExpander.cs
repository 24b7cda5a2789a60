using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;

namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>
/// The instrument's own symbols in seeded mode: AES-256 in counter mode with the frame's seed as key gives two bytes a slot, which
/// thresholds turn into bit, basis and intensity; the slots of the pilot take the pilot's symbols. Packed as groups of 64 slots in four words.
/// </summary>
internal sealed class SymbolExpander : IDisposable
{
    private const int SlotsPerGroup = 64;
    private const int WordsPerGroup = 4;
    private const int BytesPerSlot = 2;
    private const int SlotsPerBlock = 8;
    private const int BlockBytes = 16;
    private const int ChunkSlots = 8192;

    private readonly Aes _aes = Aes.Create();
    private readonly byte[] _counters = new byte[ChunkSlots * BytesPerSlot];
    private readonly byte[] _keyStream = new byte[ChunkSlots * BytesPerSlot];
    private readonly int _xWeight;
    private readonly int[] _cumulative;
    private readonly int _pilotSlots;

    private long _frame;

    /// <param name="xWeightOf128">Basis is X where seven bits are below this; 0 to 128.</param>
    /// <param name="intensityWeightsOf256">Weights of the intensities, 1 to 4 of them, sum 256.</param>
    /// <param name="pilotSlots">Slots of the pilot, a multiple of 64.</param>
    public SymbolExpander(int xWeightOf128, ReadOnlySpan<ushort> intensityWeightsOf256, int pilotSlots)
    {
        _xWeight = xWeightOf128;
        _pilotSlots = pilotSlots;
        _cumulative = new int[intensityWeightsOf256.Length];
        var sum = 0;
        for (var i = 0; i < _cumulative.Length; i++)
        {
            sum += intensityWeightsOf256[i];
            _cumulative[i] = sum;
        }
    }

    /// <summary>Turns to a frame and its seed.</summary>
    public void SetFrame(long frame, byte[] seed)
    {
        _frame = frame;
        _aes.Key = seed;
    }

    /// <summary>Fills in the symbols from a slot of the frame on, a multiple of 64; whole groups.</summary>
    public void Expand(int firstSlot, Span<ulong> packed)
    {
        for (var slots = packed.Length / WordsPerGroup * SlotsPerGroup; slots > 0;)
        {
            var chunk = Math.Min(slots, ChunkSlots);
            var words = packed[..(chunk / SlotsPerGroup * WordsPerGroup)];
            Threshold(KeyStream(firstSlot, chunk), words);
            FillPilot(firstSlot, words);
            packed = packed[words.Length..];
            firstSlot += chunk;
            slots -= chunk;
        }
    }

    /// <summary>The same symbols slot by slot, as the protocol's page words it: the plain twin of <see cref="Expand"/>.</summary>
    public void ExpandPlainly(int firstSlot, Span<ulong> packed)
    {
        packed.Clear();
        for (var slot = 0; slot < packed.Length / WordsPerGroup * SlotsPerGroup; slot++)
        {
            var stream = KeyStream((firstSlot + slot) / SlotsPerBlock * SlotsPerBlock, SlotsPerBlock);
            int v = BinaryPrimitives.ReadUInt16LittleEndian(stream[((firstSlot + slot) % SlotsPerBlock * BytesPerSlot)..]);
            var intensity = 0;
            while (v >> 8 >= _cumulative[intensity])
            {
                intensity++;
            }

            var group = packed.Slice(slot / SlotsPerGroup * WordsPerGroup, WordsPerGroup);
            var position = slot % SlotsPerGroup;
            group[0] |= (ulong)(v & 1) << position;
            group[1] |= ((v >> 1 & 127) < _xWeight ? 1UL : 0) << position;
            group[2] |= (ulong)(intensity & 1) << position;
            group[3] |= (ulong)(intensity >> 1) << position;
        }

        FillPilot(firstSlot, packed);
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_keyStream);
        _aes.Dispose();
    }

    private Span<byte> KeyStream(int firstSlot, int slots)
    {
        var counters = _counters.AsSpan(0, slots * BytesPerSlot);
        var block = (ulong)(firstSlot / SlotsPerBlock);
        for (var at = 0; at < counters.Length; at += BlockBytes)
        {
            // The upper half stays zero: a frame has far fewer than 2^64 blocks.
            BinaryPrimitives.WriteUInt64BigEndian(counters[(at + 8)..], block++);
        }

        var stream = _keyStream.AsSpan(0, counters.Length);
        _aes.EncryptEcb(counters, stream, PaddingMode.None);
        return stream;
    }

    private void Threshold(ReadOnlySpan<byte> stream, Span<ulong> packed)
    {
        // The low byte of v holds the bit and, above it, the seven bits compared for the basis: v >> 1 & 127 < w is low < 2 w.
        var basis = new Limit(2 * _xWeight);
        var first = new Limit(_cumulative[0]);
        var second = new Limit(_cumulative.Length > 1 ? _cumulative[1] : 256);
        var third = new Limit(_cumulative.Length > 2 ? _cumulative[2] : 256);
        var lowByte = Vector128.Create((ushort)0xFF);
        var one = Vector128.Create((byte)1);
        ref var value = ref MemoryMarshal.GetReference(MemoryMarshal.Cast<byte, ushort>(stream));
        nuint at = 0;
        for (var group = 0; group < packed.Length; group += WordsPerGroup)
        {
            ulong bits = 0, bases = 0, intensityLow = 0, intensityHigh = 0;
            for (var slot = 0; slot < SlotsPerGroup; slot += 16, at += 16)
            {
                // Sixteen little-endian values as their low and their high bytes.
                var a = Vector128.LoadUnsafe(ref value, at);
                var b = Vector128.LoadUnsafe(ref value, at + 8);
                if (!BitConverter.IsLittleEndian)
                {
                    (a, b) = ((a << 8) | (a >>> 8), (b << 8) | (b >>> 8));
                }

                var low = Vector128.Narrow(a & lowByte, b & lowByte);
                var high = Vector128.Narrow(a >>> 8, b >>> 8);
                var fromSecond = second.Reached(high);
                bits |= (ulong)Vector128.Equals(low & one, one).ExtractMostSignificantBits() << slot;
                bases |= (ulong)(~basis.Reached(low)).ExtractMostSignificantBits() << slot;
                intensityLow |= (ulong)(first.Reached(high) ^ fromSecond ^ third.Reached(high)).ExtractMostSignificantBits() << slot;
                intensityHigh |= (ulong)fromSecond.ExtractMostSignificantBits() << slot;
            }

            packed[group] = bits;
            packed[group + 1] = bases;
            packed[group + 2] = intensityLow;
            packed[group + 3] = intensityHigh;
        }
    }

    private void FillPilot(int firstSlot, Span<ulong> packed)
    {
        for (var group = 0; group < packed.Length / WordsPerGroup; group++)
        {
            var slot = firstSlot + (group * SlotsPerGroup);
            if (slot >= _pilotSlots)
            {
                return;
            }

            PilotSymbols.Fill(_frame, slot / SlotsPerGroup, _cumulative.Length - 1, packed.Slice(group * WordsPerGroup, WordsPerGroup));
        }
    }

    /// <summary>Compares bytes with a limit of 0 to 256, which itself need not fit into a byte.</summary>
    private readonly struct Limit(int limit)
    {
        private readonly Vector128<byte> _highestBelow = Vector128.Create((byte)Math.Max(limit - 1, 0));
        private readonly Vector128<byte> _always = limit == 0 ? Vector128<byte>.AllBitsSet : Vector128<byte>.Zero;

        /// <summary>All bits set where a byte is at least the limit.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector128<byte> Reached(Vector128<byte> values) => Vector128.GreaterThan(values, _highestBelow) | _always;
    }
}

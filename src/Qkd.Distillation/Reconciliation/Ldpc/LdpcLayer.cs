using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>One block row of a decoder: Z checks and the symbols that they join.</summary>
internal readonly ref struct LdpcLayer
{
    private static readonly byte[] Tables = MakeTables();

    /// <summary>Reliabilities of all symbols.</summary>
    public required Span<sbyte> Symbols { get; init; }

    /// <summary>What each check told each of its symbols last: Z bytes an entry.</summary>
    public required Span<sbyte> Messages { get; init; }

    /// <summary>The parity that each check should have, in the sign of a byte.</summary>
    public required ReadOnlySpan<sbyte> Syndrome { get; init; }

    /// <summary>Room for 32 bytes an entry.</summary>
    public required Span<sbyte> Scratch { get; init; }

    /// <summary>Where the block column of each entry begins among the symbols.</summary>
    public required ReadOnlySpan<int> Bases { get; init; }

    /// <summary>Shift of each entry.</summary>
    public required ReadOnlySpan<int> Shifts { get; init; }

    /// <summary>Which table of φ the first entry uses: another one each round, so that no tie lasts.</summary>
    public required int Turn { get; init; }

    /// <summary>Z.</summary>
    public int Lift => Syndrome.Length;

    /// <summary>Lets each check hear its symbols and tell them anew, 32 checks a step. Needs AVX2.</summary>
    public void Update()
    {
        ref var symbols = ref MemoryMarshal.GetReference(Symbols);
        ref var messages = ref MemoryMarshal.GetReference(Messages);
        ref var scratch = ref MemoryMarshal.GetReference(Scratch);
        ref var syndrome = ref MemoryMarshal.GetReference(Syndrome);
        ref var bases = ref MemoryMarshal.GetReference(Bases);
        ref var shifts = ref MemoryMarshal.GetReference(Shifts);
        ref var phi = ref MemoryMarshal.GetArrayDataReference(Tables);
        var entries = Bases.Length;
        var lift = Lift;
        var turn = Turn;

        for (var check = 0; check < lift; check += LdpcDecoder.Lanes)
        {
            var signs = Vector256.LoadUnsafe(ref syndrome, (nuint)check);
            var least = Vector256<byte>.AllBitsSet;
            var second = least;
            var sum = Vector256<byte>.Zero;
            for (var entry = 0; entry < entries; entry++)
            {
                var place = Unsafe.Add(ref bases, entry) + ((Unsafe.Add(ref shifts, entry) + check) & (lift - 1));
                var symbol = Vector256.LoadUnsafe(ref symbols, (nuint)place);
                var told = Vector256.LoadUnsafe(ref messages, (nuint)((entry * lift) + check));
                var heard = Avx2.SubtractSaturate(symbol, told);
                heard.StoreUnsafe(ref scratch, (nuint)(entry * LdpcDecoder.Lanes));
                signs ^= heard;
                var level = Avx2.Abs(heard);
                var other = Avx2.Max(level, least);
                least = Avx2.Min(level, least);
                second = Avx2.Min(second, other);
                sum = Avx2.AddSaturate(sum, Phi(ref Unsafe.Add(ref phi, ((entry + turn) & (LdpcTables.Turns - 1)) * 64), other));
            }

            var toLeast = Levels(ref phi, sum, second);
            sum = Avx2.AddSaturate(sum, Phi(ref Unsafe.Add(ref phi, LdpcTables.Turns * 64), least));
            var toOthers = Levels(ref phi, sum, least);
            for (var entry = 0; entry < entries; entry++)
            {
                var place = Unsafe.Add(ref bases, entry) + ((Unsafe.Add(ref shifts, entry) + check) & (lift - 1));
                var heard = Vector256.LoadUnsafe(ref scratch, (nuint)(entry * LdpcDecoder.Lanes));
                var isLeast = Avx2.CompareEqual(Avx2.Abs(heard), least);
                var level = Avx2.BlendVariable(toOthers, toLeast, isLeast).AsSByte();

                // A sign of 0 would make the message 0.
                var message = Avx2.Sign(level, (heard ^ signs) | Vector256<sbyte>.One);
                var symbol = Avx2.AddSaturate(heard, message);
                symbol.StoreUnsafe(ref symbols, (nuint)place);

                // What the byte had no room for was not told: a symbol is what it was received as and the sum of its messages, always.
                (symbol - heard).StoreUnsafe(ref messages, (nuint)((entry * lift) + check));
            }
        }

        for (var entry = 0; entry < entries; entry++)
        {
            Close(ref Unsafe.Add(ref symbols, Unsafe.Add(ref bases, entry)), Unsafe.Add(ref shifts, entry), lift);
        }
    }

    /// <summary>The same, check by check.</summary>
    public void UpdatePlain()
    {
        var tables = LdpcTables.Instance;
        for (var check = 0; check < Lift; check++)
        {
            var negative = Syndrome[check] < 0;
            var (least, second, sum) = (255, 255, 0);
            for (var entry = 0; entry < Bases.Length; entry++)
            {
                var heard = Math.Clamp(Symbols[PlaceOf(entry, check)] - Messages[(entry * Lift) + check], sbyte.MinValue, sbyte.MaxValue);
                Scratch[entry] = (sbyte)heard;
                negative ^= heard < 0;
                var level = Math.Abs(heard);
                var other = Math.Max(level, least);
                sum = Math.Min(255, sum + tables.PhiOf((entry + Turn) & (LdpcTables.Turns - 1), other));
                least = Math.Min(level, least);
                second = Math.Min(second, other);
            }

            var toLeast = tables.LevelOf(sum, second);
            var toOthers = tables.LevelOf(Math.Min(255, sum + tables.PhiOfLeastLevel(least)), least);
            for (var entry = 0; entry < Bases.Length; entry++)
            {
                int heard = Scratch[entry];
                var level = Math.Abs(heard) == least ? toLeast : toOthers;
                var message = heard < 0 != negative ? -level : level;
                var symbol = Math.Clamp(heard + message, sbyte.MinValue, sbyte.MaxValue);
                Symbols[PlaceOf(entry, check)] = (sbyte)symbol;
                Messages[(entry * Lift) + check] = (sbyte)(symbol - heard);
            }
        }

        foreach (var start in Bases)
        {
            Symbols.Slice(start, LdpcDecoder.Lanes).CopyTo(Symbols[(start + Lift)..]);
        }
    }

    /// <summary>Whether the symbols, as they are now judged, give every check its parity.</summary>
    public bool IsSatisfied()
    {
        ref var symbols = ref MemoryMarshal.GetReference(Symbols);
        for (var check = 0; check < Lift; check += LdpcDecoder.Lanes)
        {
            var signs = Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(Syndrome), (nuint)check);
            for (var entry = 0; entry < Bases.Length; entry++)
            {
                signs ^= Vector256.LoadUnsafe(ref symbols, (nuint)PlaceOf(entry, check));
            }

            if (signs.ExtractMostSignificantBits() != 0)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The same, check by check.</summary>
    public bool IsSatisfiedPlain()
    {
        for (var check = 0; check < Lift; check++)
        {
            int signs = Syndrome[check];
            for (var entry = 0; entry < Bases.Length; entry++)
            {
                signs ^= Symbols[PlaceOf(entry, check)];
            }

            if (signs < 0)
            {
                return false;
            }
        }

        return true;
    }

    private int PlaceOf(int entry, int check) => Bases[entry] + ((Shifts[entry] + check) & (Lift - 1));

    /// <summary>
    /// Makes a block's first 32 symbols and their repetition the same again. The one step that ran over the block's end left its
    /// symbols in the repetition, as many as the shift lies beyond a multiple of 32; all others are where they belong.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Close(ref sbyte block, int shift, int lift)
    {
        var index = Vector256<sbyte>.Indices;
        var beyond = Vector256.GreaterThan(Vector256.Create((sbyte)(shift & (LdpcDecoder.Lanes - 1))), index);
        var first = Vector256.ConditionalSelect(beyond, Vector256.LoadUnsafe(ref block, (nuint)lift), Vector256.LoadUnsafe(ref block));
        first.StoreUnsafe(ref block);
        first.StoreUnsafe(ref block, (nuint)lift);
    }

    /// <summary>φ of levels, by two tables of 16; a byte-shuffle gives 0 where its index is 128 or more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Phi(ref byte tables, Vector256<byte> level)
    {
        var bias = Vector256.Create((byte)0x70);
        var low = Avx2.Shuffle(Vector256.LoadUnsafe(ref tables), Avx2.AddSaturate(level, bias));
        var high = Avx2.Shuffle(Vector256.LoadUnsafe(ref tables, 32), Avx2.AddSaturate(level - Vector256.Create((byte)16), bias));
        return low | high;
    }

    /// <summary>The levels that checks tell, from sums of φ and the least levels in them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Levels(ref byte tables, Vector256<byte> sum, Vector256<byte> least)
    {
        const nuint Start = (LdpcTables.Turns + 1) * 64;
        var bias = Vector256.Create((byte)0x70);
        var pairs = Avx2.ShiftRightLogical((sum - Vector256.Create((byte)LdpcTables.PairsFrom)).AsUInt16(), 1).AsByte() & Vector256.Create((byte)0x7F);
        var eights = Avx2.ShiftRightLogical((sum - Vector256.Create((byte)LdpcTables.EightsFrom)).AsUInt16(), 3).AsByte() & Vector256.Create((byte)0x1F);
        var level = Avx2.Shuffle(Vector256.LoadUnsafe(ref tables, Start), Avx2.AddSaturate(sum, bias))
            | Avx2.Shuffle(Vector256.LoadUnsafe(ref tables, Start + 32), Avx2.AddSaturate(pairs, bias))
            | Avx2.Shuffle(Vector256.LoadUnsafe(ref tables, Start + 64), Avx2.AddSaturate(eights, bias));
        var sure = Avx2.Min(
            Avx2.SubtractSaturate(least, Vector256.Create((byte)LdpcTables.LessThanLeast)), Vector256.Create((byte)LdpcTables.LargestLevel));
        return Avx2.Max(level, sure & Avx2.CompareEqual(sum, Vector256<byte>.Zero));
    }

    /// <summary>Every table twice, for either half of a vector.</summary>
    private static byte[] MakeTables()
    {
        var tables = LdpcTables.Instance;
        byte[] all = [.. tables.PhiByTurn, .. tables.PhiOfLeast, .. tables.InverseParts];
        return [.. all.Chunk(16).SelectMany(table => table.Concat(table))];
    }
}

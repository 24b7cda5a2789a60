using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

public sealed class LdpcCodeTests
{
    public static TheoryData<int> Codes() => [.. Enumerable.Range(0, LdpcFamily.Count)];

    [Theory]
    [MemberData(nameof(Codes))]
    public void A_code_has_the_size_that_its_name_says(int index)
    {
        var code = LdpcFamily.Code(index);

        code.Symbols.ShouldBe(LdpcFamily.SymbolsOf(index));
        code.Checks.ShouldBe(LdpcFamily.ChecksOf(index));
        code.Name.ShouldBe($"r{1000 - (1000 * code.Checks / code.Symbols)}-{code.Lift}");
        for (var row = 0; row < code.BlockRows; row++)
        {
            var columns = code.ColumnsOf(row).ToArray();
            columns.ShouldBe(columns.Distinct().Order());
        }
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void No_cycle_has_four_edges(int index)
    {
        var code = LdpcFamily.Code(index);
        var shifts = Shifts(code);
        for (var first = 0; first < code.BlockRows; first++)
        {
            for (var second = first + 1; second < code.BlockRows; second++)
            {
                var seen = new HashSet<int>();
                foreach (var (column, shift) in shifts[first])
                {
                    if (shifts[second].TryGetValue(column, out var other))
                    {
                        seen.Add((shift - other) & (code.Lift - 1)).ShouldBeTrue($"rows {first} and {second}, column {column}");
                    }
                }
            }
        }
    }

    /// <summary>Words of symbols of degree 2 alone have a low weight: there are no more such columns than rows, each two of them a step of one zigzag.</summary>
    [Theory]
    [MemberData(nameof(Codes))]
    public void Degrees_are_sound(int index)
    {
        var code = LdpcFamily.Code(index);
        var rows = RowsOfColumns(code);

        rows.ShouldAllBe(column => column.Count >= 2);
        var twos = rows.Where(column => column.Count == 2).ToArray();
        twos.Length.ShouldBeLessThanOrEqualTo(code.BlockRows);
        twos.Select(column => string.Join(' ', column)).ShouldBeUnique();
        twos.ShouldAllBe(column => column[1] - column[0] == 1 || (column[0] == 0 && column[1] == code.BlockRows - 1));

        // Rows are nearly alike, so that none is much weaker than the others.
        var lengths = Enumerable.Range(0, code.BlockRows).Select(row => code.ColumnsOf(row).Length).ToArray();
        (lengths.Max() - lengths.Min()).ShouldBeLessThanOrEqualTo(2);
    }

    /// <summary>What the count of leaked bits rests on.</summary>
    [Theory]
    [MemberData(nameof(Codes))]
    public void No_check_has_two_punctured_symbols(int index)
    {
        var code = LdpcFamily.Code(index);
        var rows = RowsOfColumns(code);
        var punctured = code.PuncturedColumns.ToArray();

        punctured.ShouldNotBeEmpty();
        punctured.SelectMany(column => rows[column]).ShouldBeUnique();
        LdpcFrame.LargestPunctured(code).ShouldBe(LdpcFrame.LargestPunctured(code.BlockRows, code.Lift));
        LdpcFrame.LargestPunctured(code).ShouldBeLessThanOrEqualTo(code.Checks);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(8)]
    [InlineData(20)]
    [InlineData(41)]
    public void A_syndrome_is_the_parities_of_the_checks(int index)
    {
        var code = LdpcFamily.Code(index);
        var random = new Random(index);
        var symbols = Words(random, code.Symbols);
        var syndrome = new ulong[code.Checks / 64];
        code.Syndrome(symbols, syndrome);

        for (var trial = 0; trial < 2000; trial++)
        {
            var check = random.Next(code.Checks);
            var (row, place) = (check / code.Lift, check % code.Lift);
            var parity = 0UL;
            foreach (var (column, shift) in Shifts(code)[row])
            {
                var symbol = (column * code.Lift) + ((place + shift) % code.Lift);
                parity ^= symbols[symbol >> 6] >> symbol & 1;
            }

            (syndrome[check >> 6] >> check & 1).ShouldBe(parity);
        }
    }

    [Fact]
    public void Syndromes_are_linear()
    {
        foreach (var index in Enumerable.Range(0, LdpcFamily.Count))
        {
            var code = LdpcFamily.Code(index);
            var random = new Random(index);
            var (a, b) = (Words(random, code.Symbols), Words(random, code.Symbols));
            var (ofA, ofB, ofSum) = (new ulong[code.Checks / 64], new ulong[code.Checks / 64], new ulong[code.Checks / 64]);
            code.Syndrome(a, ofA);
            code.Syndrome(b, ofB);
            code.Syndrome([.. a.Zip(b, (x, y) => x ^ y)], ofSum);

            ofSum.ShouldBe(ofA.Zip(ofB, (x, y) => x ^ y));
        }
    }

    [Fact]
    public void A_code_survives_being_written_and_read()
    {
        var code = LdpcFamily.Code(20);
        var text = LdpcCodeText.Write(code, ["code r800-128", "seed 1"]);
        var again = LdpcCodeText.Read(code.Name, new StringReader(text));

        LdpcCodeText.Write(again, ["code r800-128", "seed 1"]).ShouldBe(text);
        Should.Throw<FormatException>(() => LdpcCodeText.Read("half", new StringReader(text[..200])));
    }

    /// <summary>Every key bit has a place of its own, apart from the punctured symbols, and comes back from it.</summary>
    [Theory]
    [InlineData(0, 0, 163_840)]
    [InlineData(20, 0, 1)]
    [InlineData(20, 77, 20_000)]
    [InlineData(20, 1280, 19_200)]
    [InlineData(19, 3000, 41_111)]
    public void A_frame_comes_back_from_its_symbols(int index, int punctured, int keyBits)
    {
        var code = LdpcFamily.Code(index);
        var frame = new LdpcFrame(code, punctured, keyBits);
        var random = new Random(5);
        var (start, length) = (random.Next(100), keyBits + 200);
        var key = Words(random, length);
        var symbols = new ulong[code.Symbols / 64];
        frame.Spread(key, start, symbols);
        var spread = symbols.ToArray();
        frame.Puncture([.. Enumerable.Repeat(ulong.MaxValue, BitString.WordCount(punctured))], symbols);

        Enumerable.Range(0, code.Symbols).Count(frame.IsPunctured).ShouldBe(punctured);
        Enumerable.Range(0, code.Symbols).Count(frame.IsShortened).ShouldBe(code.Symbols - punctured - keyBits);
        for (var symbol = 0; symbol < code.Symbols; symbol++)
        {
            var bit = symbols[symbol >> 6] >> symbol & 1;
            if (frame.IsPunctured(symbol))
            {
                bit.ShouldBe(1UL);
                (spread[symbol >> 6] >> symbol & 1).ShouldBe(0UL);
            }
            else if (frame.IsShortened(symbol))
            {
                bit.ShouldBe(0UL);
            }
        }

        var back = new ulong[key.Length];
        frame.Gather(symbols, back, start);
        for (var bit = 0; bit < length; bit++)
        {
            var expected = bit >= start && bit < start + keyBits ? key[bit >> 6] >> bit & 1 : 0;
            (back[bit >> 6] >> bit & 1).ShouldBe(expected);
        }
    }

    internal static ulong[] Words(Random random, int bits) =>
        [.. Enumerable.Range(0, BitString.WordCount(bits)).Select(_ => (ulong)random.NextInt64(long.MinValue, long.MaxValue))];

    private static Dictionary<int, int>[] Shifts(LdpcCode code) =>
        [.. Enumerable.Range(0, code.BlockRows).Select(row => code.ColumnsOf(row).ToArray().Zip(code.ShiftsOf(row).ToArray()).ToDictionary(entry => entry.First, entry => entry.Second))];

    private static List<int>[] RowsOfColumns(LdpcCode code)
    {
        var rows = Enumerable.Range(0, code.BlockColumns).Select(_ => new List<int>()).ToArray();
        for (var row = 0; row < code.BlockRows; row++)
        {
            foreach (var column in code.ColumnsOf(row))
            {
                rows[column].Add(row);
            }
        }

        return rows;
    }
}

using System.Buffers.Binary;
using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

public sealed class LdpcReconcilerTests
{
    [Theory]
    [InlineData(0, 0.02)]
    [InlineData(1, 0.02)]
    [InlineData(63, 0.02)]
    [InlineData(64, 0.02)]
    [InlineData(65, 0.02)]
    [InlineData(1_000, 0.02)]
    [InlineData(5_000, 0.02)]
    [InlineData(16_383, 0.03)]
    [InlineData(16_385, 0.11)]
    [InlineData(20_481, 0.005)]
    [InlineData(163_841, 0.025)]
    [InlineData(300_000, 0)]
    [InlineData(300_007, 0.0094)]
    [InlineData(300_000, 0.025)]
    [InlineData(300_000, 0.05)]
    [InlineData(300_000, 0.08)]
    [InlineData(300_000, 0.11)]
    public void Ends_with_the_same_bits(int length, double errorRate)
    {
        using var pair = Pair(1, length, errorRate);
        var errors = pair.Errors;
        pair.Run();

        pair.AliceResult().ShouldBe(pair.AliceBits);
        pair.BobResult().ShouldBe(pair.AliceBits);
        pair.Bob.KeyErrors.Sum().ShouldBe(errors);
        pair.Bob.Ledger.ShouldBe(pair.Alice.Ledger);
        pair.Bob.FrameStarts.ShouldBe(pair.Alice.FrameStarts);
        pair.Alice.FrameStarts[0].ShouldBe(0);
        pair.Alice.FrameStarts[^1].ShouldBe(length);
        pair.Alice.FrameStarts.ShouldBe(pair.Alice.FrameStarts.Order());
    }

    /// <summary>
    /// f = leak / (n h(Q)) over a block of a million bits, with all frames that asked again. A block's own error rate spreads by
    /// 1/√(n Q) of itself, 0.6 % at 2.5 %; the limits are what the family is built for plus five times that.
    /// </summary>
    [Theory]
    [InlineData(0.0094, 1.36)]
    [InlineData(0.025, 1.20)]
    [InlineData(0.05, 1.19)]
    [InlineData(0.09, 1.18)]
    public void Leaks_little_more_than_the_limit_of_information(double errorRate, double most)
    {
        using var pair = Pair(11, 1_000_000, errorRate);
        pair.Run();

        var q = (double)pair.Errors / pair.Length;
        var efficiency = pair.Alice.Ledger.TotalBits / (pair.Length * LdpcReach.Entropy(q));
        TestContext.Current.TestOutputHelper!.WriteLine($"QBER {q:P2}: f = {efficiency:0.0000} in {pair.Rounds} rounds, {pair.Alice.FrameStarts.Count - 1} frames");
        efficiency.ShouldBeInRange(1.0, most);
        pair.BobResult().ShouldBe(pair.AliceBits);
    }

    /// <summary>Every bit that went from Alice to Bob, less what her first message says of the block and its punctured symbols.</summary>
    [Fact]
    public void Counts_what_was_told_bit_by_bit()
    {
        var syndromes = 0L;
        using var pair = Pair(3, 400_000, 0.021, expected: 0.0215);
        pair.OnTheWay = (turn, message) =>
        {
            if (turn == 0)
            {
                var frames = BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(5));
                var punctured = BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(9));
                punctured.ShouldBeGreaterThan(0U);
                syndromes = (8 * (message.Length - 14)) - ((long)frames * punctured);
            }

            return message;
        };
        pair.Run();

        pair.Rounds.ShouldBe(2);
        pair.Alice.Ledger.ReconciliationBits.ShouldBe(syndromes);
        pair.Alice.Ledger.DisclosedBits.ShouldBe(0);
        pair.Alice.Ledger.ReverseReconciliationBits.ShouldBe(0);
        pair.Alice.Ledger.VariableLengthBits.ShouldBe(2 * 19);
    }

    /// <summary>More errors than were expected: some frames need symbols told, each of which counts once.</summary>
    [Fact]
    public void Asks_for_symbols_where_there_are_more_errors_than_expected()
    {
        var (asked, first) = (0L, 0L);
        using var pair = Pair(4, 600_000, 0.0256, expected: 0.0235);
        pair.OnTheWay = (turn, message) =>
        {
            if (turn == 0)
            {
                first = 8 * (message.Length - 14) - ((long)BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(5)) * BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(9)));
            }
            else if (turn % 2 == 1)
            {
                asked += Requests(message).Sum(request => request.Count);
                Requests(message).ShouldAllBe(request => request.Count > 0);
            }

            return message;
        };
        pair.Run();

        pair.Rounds.ShouldBeInRange(3, 5);
        pair.BobResult().ShouldBe(pair.AliceBits);
        var ledger = pair.Alice.Ledger;
        asked.ShouldBeGreaterThan(0);
        (ledger.ReconciliationBits + ledger.DisclosedBits).ShouldBe(first + asked);
        pair.Bob.Ledger.ShouldBe(ledger);
    }

    [Fact]
    public void Takes_frames_over_whole_that_it_cannot_correct()
    {
        using var pair = Pair(4, 200_000, 0.12, expected: 0.01);
        pair.Run();

        pair.BobResult().ShouldBe(pair.AliceBits);
        pair.Alice.Ledger.DisclosedBits.ShouldBe(200_000);
        pair.Alice.Ledger.ReconciliationBits.ShouldBe(0);
        pair.Bob.Ledger.ShouldBe(pair.Alice.Ledger);
        pair.Bob.KeyErrors.Sum().ShouldBe(pair.Errors);
    }

    [Fact]
    public void Tells_a_block_outright_that_is_too_small_for_a_code()
    {
        using var pair = Pair(4, 200, 0.02);
        pair.Run();

        pair.Alice.Ledger.DisclosedBits.ShouldBe(200);
        pair.BobResult().ShouldBe(pair.AliceBits);
        pair.Bob.Ledger.ShouldBe(pair.Alice.Ledger);
    }

    [Fact]
    public void With_unequal_detectors_counts_all_that_Bob_says()
    {
        var security = new SecurityParameters { Mismatch = new DetectorMismatch(0.01, 0.01, 1e-6) };
        var said = 0L;
        using var pair = ReconciliationPair.Random(4, 300_000, 0.0256, 0.0235, security, new LdpcReconciler());
        pair.OnTheWay = (turn, message) =>
        {
            said += turn % 2 == 1 ? 8 * message.Length : 0;
            return message;
        };
        pair.Run();

        said.ShouldBeGreaterThan(8 * sizeof(uint));
        pair.Alice.Ledger.ReverseReconciliationBits.ShouldBe(said);
        pair.Bob.Ledger.ShouldBe(pair.Alice.Ledger);
    }

    [Fact]
    public void Counts_errors_by_intensity()
    {
        using var pair = Pair(9, 90_000, 0.02);
        pair.Run();

        var expected = new long[3];
        for (var i = 0; i < pair.Length; i++)
        {
            expected[i % 3] += (long)((pair.AliceBits[i >> 6] ^ pair.BobBits[i >> 6]) >> i & 1);
        }

        pair.Bob.KeyErrors.ShouldBe(expected);
    }

    [Fact]
    public void Corrects_whatever_rate_was_expected()
    {
        foreach (var expected in new[] { 0, 0.0001, 0.3, 0.5, double.NaN, double.PositiveInfinity, -1 })
        {
            using var pair = Pair(5, 30_000, 0.01, expected);
            pair.Run();
            pair.BobResult().ShouldBe(pair.AliceBits);
        }
    }

    /// <summary>A bit changed in any message ends in an exception, or in a finished run whose difference verification is there to find.</summary>
    [Fact]
    public void Ends_whatever_bit_of_a_message_is_wrong()
    {
        var random = new Random(77);
        var (refused, finished) = (0, 0);
        for (var trial = 0; trial < 60; trial++)
        {
            var spoiled = random.Next(4);
            using var pair = Pair(trial, 20_000, 0.024, expected: 0.022);
            pair.OnTheWay = (number, message) =>
            {
                if (number == spoiled && message.Length > 0)
                {
                    // Half of them among the first bytes, which say what the rest means.
                    message[random.Next(random.Next(2) == 0 ? Math.Min(message.Length, 16) : message.Length)] ^= (byte)(1 << random.Next(8));
                }

                return message;
            };
            try
            {
                pair.Run();
                finished++;
            }
            catch (DistillationException)
            {
                refused++;
            }
        }

        refused.ShouldBeGreaterThan(0);
        finished.ShouldBeGreaterThan(0);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Refuses_a_truncated_or_lengthened_message(int number)
    {
        foreach (var change in new Func<byte[], byte[]>[] { message => message[..^1], message => [.. message, 0], _ => [] })
        {
            using var pair = Pair(4, 20_000, 0.026, expected: 0.021);
            var met = false;
            pair.OnTheWay = (turn, message) =>
            {
                met |= turn == number;
                return turn == number ? change(message) : message;
            };
            Should.Throw<DistillationException>(pair.Run).Message.ShouldContain("malformed");
            met.ShouldBeTrue();
        }
    }

    [Theory]
    [InlineData(1u, 7u, 5u)]
    [InlineData(2u, 0u, 5u)]
    [InlineData(1u, 0u, 20_000u)]
    [InlineData(1u, 0u, uint.MaxValue)]
    public void Refuses_a_request_for_what_is_not_there(uint frames, uint frame, uint count)
    {
        using var pair = Pair(4, 20_000, 0.02);
        pair.OnTheWay = (turn, message) => turn == 1 ? [.. BitConverter.GetBytes(frames), .. BitConverter.GetBytes(frame), .. BitConverter.GetBytes(count), .. new byte[8]] : message;
        Should.Throw<DistillationException>(pair.Run).Message.ShouldContain("malformed");
    }

    [Fact]
    public void Refuses_requests_without_end()
    {
        using var pair = Pair(4, 20_000, 0.02);
        var requests = 0;
        pair.OnTheWay = (turn, message) =>
        {
            requests += turn % 2;
            return turn % 2 == 1 ? [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] : message;
        };
        Should.Throw<Exception>(pair.Run);
        requests.ShouldBeLessThanOrEqualTo(LdpcReconciler.SymbolRounds + 2);
    }

    [Fact]
    public void Erases_its_bits_when_it_is_given_up()
    {
        var pair = Pair(4, 20_000, 0.02);
        pair.Dispose();
        Should.Throw<Exception>(pair.Run);
    }

    private static ReconciliationPair Pair(int seed, int length, double errorRate, double? expected = null) =>
        ReconciliationPair.Random(seed, length, errorRate, expected, reconciler: new LdpcReconciler());

    private static List<(uint Frame, uint Count)> Requests(byte[] message)
    {
        var requests = new List<(uint, uint)>();
        var at = sizeof(uint);
        for (var left = BinaryPrimitives.ReadUInt32LittleEndian(message); left > 0; left--)
        {
            var (frame, count) = (BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(at)), BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(at + 4)));
            requests.Add((frame, count));

            // Numbers of 15, 17 or 18 bits: read off what fits.
            at += 8 + (8 * BitString.WordCount((int)count * NumberBits));
        }

        at.ShouldBe(message.Length);
        return requests;
    }

    private const int NumberBits = 18;
}

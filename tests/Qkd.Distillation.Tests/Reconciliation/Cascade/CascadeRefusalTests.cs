using System.Buffers;
using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

/// <summary>Messages that are damaged, forged or repeated: the block ends, by a refusal or with a difference that verification finds.</summary>
public sealed class CascadeRefusalTests
{
    [Fact]
    public void Ends_whatever_bit_of_a_message_is_wrong() => EndsWhenAltered((message, random, _) => message[random.Next(message.Length)] ^= (byte)(1 << random.Next(8)));

    [Fact]
    public void Ends_whatever_stands_in_a_message() => EndsWhenAltered((message, random, _) => random.NextBytes(message));

    [Fact]
    public void Ends_when_an_earlier_message_comes_again()
    {
        var random = new Random(5);
        for (var trial = 0; trial < 60; trial++)
        {
            var spoiled = random.Next(2, 60);
            var back = 2 * random.Next(1, 3);
            var sent = new List<byte[]>();
            using var pair = ReconciliationPair.Random(trial, 6_000, 0.03);
            pair.OnTheWay = (number, message) =>
            {
                sent.Add(message);
                return number == spoiled && number >= back ? sent[number - back] : message;
            };
            RunOrRefuse(pair);
        }
    }

    /// <summary>Parities that belong to no bits: Bob's corrections and what may be told are both limited.</summary>
    [Theory]
    [InlineData(3_000)]
    [InlineData(70_001)]
    public void Ends_when_all_parities_are_noise(int length)
    {
        for (var trial = 0; trial < 5; trial++)
        {
            var random = new Random(trial);
            using var pair = ReconciliationPair.Random(trial, length, 0.03);
            pair.OnTheWay = (number, message) =>
            {
                // All but the head of the first message and the last word, whose end must stay zero.
                if (number % 2 == 0)
                {
                    var head = number == 0 ? 7 : 0;
                    random.NextBytes(message.AsSpan(head, Math.Max(0, message.Length - head - 8)));
                }

                return message;
            };
            RunOrRefuse(pair);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(8)]
    [InlineData(21)]
    public void Refuses_a_truncated_or_lengthened_message(int number)
    {
        foreach (var change in new Func<byte[], byte[]>[] { message => message[..^1], message => message[..^8], message => [.. message, 0], message => [.. message, .. new byte[8]], _ => [] })
        {
            using var pair = ReconciliationPair.Random(4, 20_000, 0.02);
            pair.OnTheWay = (turn, message) => turn == number ? change(message) : message;
            Should.Throw<DistillationException>(pair.Run).Message.ShouldContain("malformed");
        }
    }

    [Theory]
    [InlineData(19_999, 5, 7, 14)]
    [InlineData(20_001, 5, 7, 14)]
    [InlineData(-1, 5, 7, 14)]
    [InlineData(20_000, 1, 7, 14)]
    [InlineData(20_000, 0, 7, 14)]
    [InlineData(20_000, 5, 4, 14)]
    [InlineData(20_000, 5, 7, 6)]
    [InlineData(20_000, 5, 7, 17)]
    [InlineData(20_000, 255, 255, 255)]
    public void Refuses_a_layout_that_is_none(int bits, byte first, byte second, byte third)
    {
        using var pair = ReconciliationPair.Random(4, 20_000, 0.02);
        var message = new ArrayBufferWriter<byte>();
        pair.AliceEnd.Step([], message);
        byte[] forged = [.. BitConverter.GetBytes(bits), first, second, third, .. message.WrittenSpan[7..]];
        Should.Throw<DistillationException>(() => pair.BobEnd.Step(forged, new ArrayBufferWriter<byte>())).Message.ShouldContain("malformed");
    }

    /// <summary>The frame has 2^15 places and blocks of 64 in the first pass, the only one begun.</summary>
    [Theory]
    [InlineData("a pass that has not begun", 1, 5)]
    [InlineData("a pass over halves that has not begun", 3, 5)]
    [InlineData("a pass that there is not", 25, 5)]
    [InlineData("more blocks than there are", 0, 5, 15, 4, 0x7FFF, 15)]
    [InlineData("a block beyond the last", 0, 5, 1, 4, 0, 1, 0b1111, 5)]
    [InlineData("a block below single places", 0, 5, 0, 4, 0, 10, 0b111111, 7)]
    public void Refuses_a_question_about_what_is_not_there(string what, params int[] numbersAndDigits)
    {
        using var pair = ReconciliationPair.Random(4, 20_000, 0.02);
        pair.OnTheWay = (turn, message) => turn == 1 ? Question(numbersAndDigits) : message;
        Should.Throw<DistillationException>(pair.Run, what).Message.ShouldContain("malformed");
    }

    /// <summary>The same parity asked again and again counts each time, until more would be told than the block has.</summary>
    [Fact]
    public void Tells_no_more_than_the_block_has()
    {
        using var pair = ReconciliationPair.Random(4, 2_000, 0.02);
        var message = new ArrayBufferWriter<byte>();
        pair.AliceEnd.Step([], message);
        var rounds = 0;
        var end = Should.Throw<DistillationException>(() =>
        {
            while (true)
            {
                // Block 0 of the first pass, of 2^6 places, halved five times: one answer and no more.
                pair.AliceEnd.Step(Question(0, 5, 0, 4, 0, 6, 0b011111, 6, 0, 5), message);
                rounds++;
            }
        });
        end.Message.ShouldContain("more parities than block");
        rounds.ShouldBeInRange(1_900, 2_000);
    }

    [Fact]
    public void Tells_each_pass_once()
    {
        using var pair = ReconciliationPair.Random(4, 20_000, 0.02);
        var message = new ArrayBufferWriter<byte>();
        pair.AliceEnd.Step([], message);
        for (var round = 0; round < 3; round++)
        {
            pair.AliceEnd.Step(Question(CascadeMessages.Tell, 5), message);
        }

        Should.Throw<DistillationException>(() => pair.AliceEnd.Step(Question(CascadeMessages.Tell, 5), message)).Message.ShouldContain("malformed");
    }

    [Fact]
    public void Gives_up_when_more_would_leak_than_there_is()
    {
        using var pair = ReconciliationPair.Random(2, 10_000, 0.4, 0.01);
        Should.Throw<DistillationException>(pair.Run).Message.ShouldContain("more parities than block");
    }

    [Fact]
    public void Takes_no_step_after_the_last()
    {
        using var pair = ReconciliationPair.Random(2, 1_000, 0.02);
        Should.Throw<InvalidOperationException>(() => pair.Bob);
        pair.Run();
        Should.Throw<InvalidOperationException>(() => pair.AliceEnd.Step([], new ArrayBufferWriter<byte>()));
        Should.Throw<InvalidOperationException>(() => pair.BobEnd.Step([], new ArrayBufferWriter<byte>()));
    }

    private static void EndsWhenAltered(Action<byte[], Random, int> alter)
    {
        var random = new Random(77);
        for (var trial = 0; trial < 150; trial++)
        {
            var spoiled = random.Next(60);
            using var pair = ReconciliationPair.Random(trial, trial % 10 == 0 ? 66_000 : 6_000, 0.03);
            pair.OnTheWay = (number, message) =>
            {
                if (number == spoiled && message.Length > 0)
                {
                    alter(message, random, number);
                }

                return message;
            };
            RunOrRefuse(pair);
        }
    }

    private static void RunOrRefuse(ReconciliationPair pair)
    {
        try
        {
            pair.Run();
        }
        catch (DistillationException)
        {
            return;
        }

        pair.Bob.Ledger.ReconciliationBits.ShouldBeLessThanOrEqualTo(pair.Length);
    }

    /// <summary>Numbers, each with so many binary digits, as Bob's message.</summary>
    private static byte[] Question(params int[] numbersAndDigits)
    {
        using var bits = new CascadeBitWriter();
        for (var i = 0; i < numbersAndDigits.Length; i += 2)
        {
            bits.Append((ulong)numbersAndDigits[i], numbersAndDigits[i + 1]);
        }

        var message = new ArrayBufferWriter<byte>();
        bits.Flush(message);
        return message.WrittenSpan.ToArray();
    }
}

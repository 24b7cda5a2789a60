using CsCheck;
using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

/// <summary>The engine against <see cref="PlainCascade"/>, message by message.</summary>
public sealed class CascadeTwinTests
{
    public enum Pattern
    {
        Scattered,
        Burst,
        OneBlock,
        None,
        All,
        Ends,
    }

    [Fact]
    public void Every_message_is_the_plain_ones()
    {
        // Expected rates up to five times too high or too low, and none at all.
        var gen = Gen.Select(
            Gen.OneOf(Gen.Int[0, 200], Gen.Int[0, 2_000]), Gen.Double[0, 0.25], Gen.Enum<Pattern>(), Gen.OneOf(Gen.Double[-1, 1], Gen.Const(double.NaN)), Gen.Int);
        gen.Sample((length, rate, pattern, wrong, seed) => Compare(length, rate, pattern, rate * Math.Pow(5, wrong), seed), iter: 60, threads: 1);
    }

    [Theory]
    [InlineData(65_536, 0.02, Pattern.Scattered, 1)]
    [InlineData(65_537, 0.03, Pattern.Scattered, 1)]
    [InlineData(65_535, 0.08, Pattern.Scattered, 0.2)]
    [InlineData(65_536, 0.004, Pattern.Scattered, 5)]
    [InlineData(65_536, 0.02, Pattern.Burst, 1)]
    [InlineData(65_536, 0.02, Pattern.All, 1)]
    [InlineData(40_000, 0.02, Pattern.Ends, 1)]
    [InlineData(0, 0.02, Pattern.None, 1)]
    [InlineData(1, 0.02, Pattern.None, 1)]
    public void Every_message_of_whole_frames_is_the_plain_ones(int length, double rate, Pattern pattern, double wrong) => Compare(length, rate, pattern, rate * wrong, 7);

    [Theory]
    [Trait("Speed", "Slow")]
    [InlineData(0.001)]
    [InlineData(0.01)]
    [InlineData(0.05)]
    [InlineData(0.11)]
    [InlineData(0.2)]
    public void Every_message_of_many_frames_is_the_plain_ones(double rate)
    {
        foreach (var wrong in new[] { 0.2, 1, 5 })
        {
            Compare(300_001, rate, Pattern.Scattered, rate * wrong, 11);
        }
    }

    private static void Compare(int length, double rate, Pattern pattern, double expected, int seed)
    {
        var random = new Random(seed);
        var alice = new ulong[BitString.WordCount(length)];
        var bob = new ulong[alice.Length];
        var burst = random.Next(Math.Max(1, length));
        for (var i = 0; i < length; i++)
        {
            var wrong = pattern switch
            {
                Pattern.Scattered => random.NextDouble() < rate,
                Pattern.Burst => i >= burst && i < burst + (rate * length),
                Pattern.OneBlock => i / 64 == burst / 64 && random.Next(2) == 0,
                Pattern.All => true,
                Pattern.Ends => i == 0 || i == length - 1,
                _ => false,
            };
            var bit = (ulong)random.Next(2) << i;
            alice[i >> 6] |= bit;
            bob[i >> 6] |= wrong ? bit ^ 1UL << i : bit;
        }

        var plain = new PlainCascade(alice, bob, length, expected);
        using var messages = plain.Messages().GetEnumerator();
        using var pair = ReconciliationPair.Of(alice, bob, length, expected);
        pair.OnTheWay = (number, message) =>
        {
            messages.MoveNext().ShouldBeTrue("the plain ones have ended");
            message.AsSpan().SequenceEqual(messages.Current).ShouldBeTrue($"message {number} of {length} bits differs");
            return message;
        };

        try
        {
            pair.Run();
        }
        catch (DistillationException)
        {
            // Very many errors in a short block: more would be told than there is.
            while (messages.MoveNext())
            {
            }

            plain.Told.ShouldBeGreaterThan(length);
            return;
        }

        messages.MoveNext().ShouldBeFalse("the plain ones go on");
        pair.BobResult().ShouldBe(plain.Corrected);
        pair.Alice.Ledger.ReconciliationBits.ShouldBe(plain.Told);
        pair.Bob.Ledger.ShouldBe(pair.Alice.Ledger);
        pair.Bob.KeyErrors.Sum().ShouldBe(alice.Length == 0 ? 0 : bob.Zip(plain.Corrected, (x, y) => System.Numerics.BitOperations.PopCount(x ^ y)).Sum());
        pair.Bob.FrameStarts.ShouldBe(pair.Alice.FrameStarts);
        pair.Bob.FrameStarts[^1].ShouldBe(length);
    }
}

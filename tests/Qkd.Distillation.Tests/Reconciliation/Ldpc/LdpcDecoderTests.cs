using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

public sealed class LdpcDecoderTests
{
    /// <summary>Every reliability is the same after every round, whether the frame can be decoded or not.</summary>
    [Theory]
    [InlineData(20, 0.02)]
    [InlineData(20, 0.05)]
    [InlineData(2, 0.004)]
    [InlineData(8, 0.011)]
    [InlineData(35, 0.08)]
    [InlineData(41, 0.10)]
    [InlineData(41, 0.40)]
    public void The_vectors_do_what_the_plain_decoder_does(int index, double errorRate)
    {
        var code = LdpcFamily.Code(index);
        for (var seed = 0; seed < 2; seed++)
        {
            var (sent, received) = Frame(code, seed, errorRate);
            var syndrome = new ulong[code.Checks / 64];
            code.Syndrome(sent, syndrome);
            using var fast = new LdpcDecoder(code);
            using var plain = new LdpcDecoder(code, plain: true);
            foreach (var rounds in new[] { 1, 2, 12 })
            {
                foreach (var decoder in new[] { fast, plain })
                {
                    decoder.Begin(received, syndrome, LdpcTables.ReliabilityOf(errorRate));
                    decoder.Erase(code.PuncturedColumns[0], 3, 40);
                    decoder.Fix(0, code.Lift - 37, 37);
                    decoder.Learn(77, (int)(sent[1] >> 13 & 1));
                }

                fast.Run(rounds).ShouldBe(plain.Run(rounds));
                Reliabilities(fast, code).ShouldBe(Reliabilities(plain, code));
            }
        }
    }

    [Fact]
    public void Decodes_what_was_sent_when_few_errors_are_made()
    {
        foreach (var index in Enumerable.Range(0, LdpcFamily.Count).Where(index => LdpcFamily.Lifts[index % 3] == 128))
        {
            // Half of what a code of its rate could correct at best.
            var code = LdpcFamily.Code(index);
            var errorRate = LdpcReach.ErrorRateFor((double)code.Checks / code.Symbols) / 2;
            var (sent, received) = Frame(code, index, errorRate);
            var syndrome = new ulong[code.Checks / 64];
            var found = new ulong[sent.Length];
            code.Syndrome(sent, syndrome);
            using var decoder = new LdpcDecoder(code);
            decoder.Begin(received, syndrome, LdpcTables.ReliabilityOf(errorRate));

            decoder.Run(LdpcDecoder.MostRounds).ShouldBeGreaterThan(0, code.Name);
            decoder.Read(found);
            found.ShouldBe(sent, code.Name);
        }
    }

    [Fact]
    public void Gives_up_on_a_frame_beyond_its_reach()
    {
        var code = LdpcFamily.Code(20);
        var (sent, received) = Frame(code, 1, 0.2);
        var syndrome = new ulong[code.Checks / 64];
        code.Syndrome(sent, syndrome);
        using var decoder = new LdpcDecoder(code);
        decoder.Begin(received, syndrome, LdpcTables.ReliabilityOf(0.2));

        decoder.Run(5).ShouldBe(0);
    }

    /// <summary>φ is its own inverse: what one entry alone tells comes back, to the step in which it is counted.</summary>
    [Fact]
    public void The_tables_are_those_of_the_function()
    {
        var tables = LdpcTables.Instance;
        for (var level = 0; level < LdpcTables.Certain; level++)
        {
            var phi = -Math.Log(Math.Tanh(level / LdpcTables.LevelsPerUnit / 2)) * LdpcTables.SumPerUnit;
            var mean = Enumerable.Range(0, LdpcTables.Turns).Average(turn => tables.PhiOf(turn, level));
            mean.ShouldBe(Math.Min(255, phi), 0.0626);
        }

        for (var sum = 1; sum < LdpcTables.NothingFrom; sum++)
        {
            // Half a step of the level, and what half an eight of the sum makes of it.
            var exact = -Math.Log(Math.Tanh(sum / LdpcTables.SumPerUnit / 2)) * LdpcTables.LevelsPerUnit;
            ((double)tables.LevelOf(sum, 0)).ShouldBe(Math.Min(LdpcTables.LevelOfNothing, exact), 0.5 + (sum < LdpcTables.PairsFrom ? 1e-9 : 0.3));
        }
    }

    internal static (ulong[] Sent, ulong[] Received) Frame(LdpcCode code, int seed, double errorRate)
    {
        var random = new Random(seed);
        var sent = LdpcCodeTests.Words(random, code.Symbols);
        sent[0] = 0;
        var received = sent.ToArray();
        for (var i = 64; i < code.Symbols; i++)
        {
            received[i >> 6] ^= (random.NextDouble() < errorRate ? 1UL : 0) << i;
        }

        return (sent, received);
    }

    private static sbyte[] Reliabilities(LdpcDecoder decoder, LdpcCode code) => [.. Enumerable.Range(0, code.Symbols).Select(symbol => decoder[symbol])];
}

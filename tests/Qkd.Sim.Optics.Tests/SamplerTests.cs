using Shouldly;

namespace Qkd.Sim.Optics.Tests;

public sealed class SamplerTests
{
    [Fact]
    public void Exponential_numbers_fill_the_bins_of_their_distribution()
    {
        const int draws = 50_000_000;
        var random = CounterRandom.At(123, 0);
        var bins = new long[200];
        var tail = 0L;
        for (var i = 0; i < draws; i++)
        {
            var x = Exponential.Next(ref random);
            bins[Math.Min(199, (int)(x * 10))]++;
            tail += x > 7.69711747013104972 ? 1 : 0;   // where the ziggurat changes its way
        }

        for (var bin = 0; bin < 160; bin++)
        {
            bins[bin].ShouldBeBinomial(draws, Math.Exp(-bin / 10.0) - Math.Exp(-(bin + 1) / 10.0), $"bin {bin}");
        }

        tail.ShouldBeBinomial(draws, Math.Exp(-7.69711747013104972), "tail");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.3)]
    [InlineData(40)]
    [InlineData(2000)]
    public void Jitter_table_holds_the_probability_of_each_picosecond(double sigma)
    {
        var table = new JitterTable(sigma);
        var entries = table.Entries;
        var count = entries.Length;
        var probabilities = new double[count];
        foreach (var (entry, bin) in entries.Select((entry, bin) => (entry, bin)))
        {
            var own = (uint)entry / 4294967296.0;
            probabilities[(short)(entry >> 32) + table.Reach] += own / count;
            probabilities[(short)(entry >> 48) + table.Reach] += (1 - own) / count;
            ((short)(entry >> 32)).ShouldBe((short)(bin - table.Reach));
        }

        probabilities.Sum().ShouldBe(1, 1e-9);
        for (var k = 0; sigma > 0 && k <= table.Reach; k++)
        {
            // Simpson's rule over the picosecond, 100 steps.
            var expected = Enumerable.Range(0, 201).Sum(i =>
                Math.Exp(-Math.Pow((k - 0.5 + (i / 200.0)) / sigma, 2) / 2) * (i is 0 or 200 ? 1 : i % 2 == 1 ? 4 : 2)) / 600 / sigma / Math.Sqrt(2 * Math.PI);
            probabilities[table.Reach + k].ShouldBe(expected, 3e-10);
            probabilities[table.Reach - k].ShouldBe(expected, 3e-10);
        }
    }

    [Fact]
    public void Choices_come_with_their_weights()
    {
        var table = new ChoiceTable(2);
        double[] weights = [0.1, 0.00001, 0, 0.65, 0.24999];
        table.SetRow(1, weights);
        var random = CounterRandom.At(5, 0);
        var counts = new long[8];
        const int draws = 10_000_000;
        for (var i = 0; i < draws; i++)
        {
            counts[ChoiceTable.Choose(table.Entries, 1, (uint)random.Next())]++;
        }

        for (var outcome = 0; outcome < 8; outcome++)
        {
            counts[outcome].ShouldBeBinomial(draws, outcome < weights.Length ? weights[outcome] : 0, $"outcome {outcome}");
        }

        counts[2].ShouldBe(0);
        counts[5].ShouldBe(0);
    }

    [Fact]
    public void Words_can_be_had_singly_or_in_a_row()
    {
        var random = CounterRandom.At(77, 10);
        random.Next().ShouldBe(CounterRandom.Word(77, 11));
        random.Next().ShouldBe(CounterRandom.Word(77, 12));
        CounterRandom.Key(1, Stream.Pulses, 1).ShouldNotBe(CounterRandom.Key(1, Stream.Pulses, 2));
        CounterRandom.Key(1, Stream.Pulses, 1).ShouldNotBe(CounterRandom.Key(1, Stream.Drift, 1));

        // The finaliser of SplitMix64 as published: the first outputs for the seed 1234567.
        CounterRandom.Word(1234567, 1).ShouldBe(6457827717110365317UL);
        CounterRandom.Word(1234567, 2).ShouldBe(3203168211198807973UL);
    }
}

using Qkd.Devices;
using Qkd.Link.Preparation;
using Shouldly;

namespace Qkd.Link.Tests.Preparation;

public sealed class SymbolDrawerTests
{
    private const int Slots = 1 << 21;

    public static TheoryData<double, double[]> Choices() => new()
    {
        { 0.8125, [0.5, 0.3125, 0.1875] },
        { 0.8, [0.5, 0.3, 0.2] },
        { 0.5, [0.7, 0.2, 0.05, 0.05] },
        { 0.95, [0.75, 0.25] },
        { 1.0 / 3, [1.0] },
    };

    [Theory]
    [MemberData(nameof(Choices))]
    public void Draws_every_symbol_with_the_declared_probability_within_five_sigma(double keyBasis, double[] intensities)
    {
        var probabilities = SymbolProbabilities.FromProbabilities(keyBasis, intensities);
        var drawer = new SymbolDrawer(OperatingSystemRandomness.Instance, probabilities);
        var packed = new ulong[PackedSymbols.WordCount(Slots)];
        drawer.Fill(packed);

        var counts = new long[2, 2, 4];
        for (var slot = 0; slot < Slots; slot++)
        {
            var symbol = PackedSymbols.Read(packed, slot);
            counts[(int)symbol.Basis, symbol.Bit, symbol.Intensity]++;
        }

        for (var basis = 0; basis < 2; basis++)
        {
            for (var bit = 0; bit < 2; bit++)
            {
                for (var intensity = 0; intensity < 4; intensity++)
                {
                    // Basis, bit and intensity are independent: the joint probability is the product.
                    var p = intensity < intensities.Length
                        ? (basis == 0 ? probabilities.KeyBasis : 1 - probabilities.KeyBasis) * 0.5 * probabilities.Intensity(intensity)
                        : 0;
                    var sigma = Math.Sqrt(Slots * p * (1 - p));
                    ((double)counts[basis, bit, intensity]).ShouldBe(p * Slots, 5 * sigma, $"basis {basis}, bit {bit}, intensity {intensity}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Choices))]
    public void Declares_probabilities_that_are_multiples_of_one_in_256_near_those_asked_for(double keyBasis, double[] intensities)
    {
        var probabilities = SymbolProbabilities.FromProbabilities(keyBasis, intensities);
        probabilities.IntensitiesOf256.Sum().ShouldBe(256);
        probabilities.KeyBasis.ShouldBe(keyBasis, 1.0 / 512);
        for (var i = 0; i < intensities.Length; i++)
        {
            probabilities.Intensity(i).ShouldBe(intensities[i], 2.0 / 256);
        }
    }

    [Fact]
    public void Refuses_probabilities_that_make_no_sense()
    {
        Should.Throw<ArgumentException>(() => SymbolProbabilities.FromProbabilities(0, [1]));
        Should.Throw<ArgumentException>(() => SymbolProbabilities.FromProbabilities(0.5, [0.5, 0.4]));
        Should.Throw<ArgumentException>(() => SymbolProbabilities.FromProbabilities(0.5, [0.5, 0.5, 0.5, -0.5]));
        Should.Throw<ArgumentException>(() => SymbolProbabilities.FromProbabilities(0.5, []));
    }

    [Fact]
    public void Neighbouring_slots_are_independent_within_five_sigma()
    {
        var drawer = new SymbolDrawer(OperatingSystemRandomness.Instance, SymbolProbabilities.FromProbabilities(0.5, [0.5, 0.5]));
        var packed = new ulong[PackedSymbols.WordCount(Slots)];
        drawer.Fill(packed);
        foreach (var distance in new[] { 1, 63, 64, 65, 65_536 })
        {
            long same = 0, pairs = Slots - distance;
            for (var slot = 0; slot < pairs; slot++)
            {
                var (a, b) = (PackedSymbols.Read(packed, slot), PackedSymbols.Read(packed, slot + distance));
                same += a == b ? 1 : 0;
            }

            // Eight equally likely symbols.
            ((double)same).ShouldBe(pairs / 8.0, 5 * Math.Sqrt(pairs * (1 / 8.0) * (7 / 8.0)), $"distance {distance}");
        }
    }
}

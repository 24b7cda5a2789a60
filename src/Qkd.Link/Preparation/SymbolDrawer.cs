using System.Numerics;
using System.Runtime.InteropServices;
using Qkd.Devices;

namespace Qkd.Link.Preparation;

/// <summary>
/// Draws random symbols in the packed layout. Probabilities are multiples of 1/256, so what is drawn is exactly what is declared:
/// nothing is rounded behind the security proof's back.
/// </summary>
/// <remarks>
/// A slot's basis is X where an 8-bit uniform number u is below the weight; its intensity is the number of partial sums of the
/// intensity weights that a second such number reaches. The comparisons are made for 64 slots at once, on bit planes, from the least
/// significant bit of the threshold upwards: lt = t ? (~u | lt) : (~u &amp; lt). Planes below the lowest set bit of every
/// threshold cannot change a result and are not drawn.
/// </remarks>
public sealed class SymbolDrawer
{
    private const int Planes = 8;

    private readonly ISecretRandomness _randomness;
    private readonly int _basisThreshold;
    private readonly int _basisPlanes;
    private readonly int[] _intensityThresholds;
    private readonly int _intensityPlanes;
    private readonly ulong[] _random;
    private readonly int _wordsPerGroup;

    /// <summary>Creates a drawer.</summary>
    /// <param name="randomness">Where the bits come from.</param>
    /// <param name="probabilities">Probabilities of basis and intensities.</param>
    public SymbolDrawer(ISecretRandomness randomness, SymbolProbabilities probabilities)
    {
        _randomness = randomness;
        Probabilities = probabilities;
        _basisThreshold = probabilities.XBasisOf256;
        _basisPlanes = PlanesFor([_basisThreshold]);

        var sum = 0;
        _intensityThresholds = [.. probabilities.IntensitiesOf256.SkipLast(1).Select(weight => sum += weight)];
        _intensityPlanes = PlanesFor(_intensityThresholds);
        _wordsPerGroup = 1 + _basisPlanes + _intensityPlanes;
        _random = new ulong[_wordsPerGroup * 1024];
    }

    /// <summary>The probabilities of what is drawn.</summary>
    public SymbolProbabilities Probabilities { get; }

    /// <summary>Fills whole groups of 64 slots. Not thread-safe.</summary>
    public void Fill(Span<ulong> packed)
    {
        var groups = packed.Length / PackedSymbols.WordsPerGroup;
        for (var done = 0; done < groups;)
        {
            var now = Math.Min(groups - done, _random.Length / _wordsPerGroup);
            var random = _random.AsSpan(0, now * _wordsPerGroup);
            _randomness.Fill(MemoryMarshal.AsBytes(random));
            FillFrom(random, packed.Slice(done * PackedSymbols.WordsPerGroup, now * PackedSymbols.WordsPerGroup));
            done += now;
        }

        _random.AsSpan().Clear();
    }

    private static int PlanesFor(ReadOnlySpan<int> thresholds)
    {
        var all = 0;
        foreach (var threshold in thresholds)
        {
            all |= threshold;
        }

        // A threshold of 256 (always below) needs no plane of its own.
        all &= 255;
        return all == 0 ? 0 : Planes - BitOperations.TrailingZeroCount(all);
    }

    private static ulong Below(ReadOnlySpan<ulong> planes, int threshold)
    {
        if (threshold >= 256)
        {
            return ~0UL;
        }

        // planes[0] is the most significant bit.
        var below = 0UL;
        for (var plane = planes.Length - 1; plane >= 0; plane--)
        {
            below = (threshold >> (Planes - 1 - plane) & 1) != 0 ? ~planes[plane] | below : ~planes[plane] & below;
        }

        return below;
    }

    private void FillFrom(ReadOnlySpan<ulong> random, Span<ulong> packed)
    {
        for (var at = 0; at < packed.Length; at += PackedSymbols.WordsPerGroup)
        {
            packed[at] = random[0];
            packed[at + 1] = Below(random.Slice(1, _basisPlanes), _basisThreshold);

            // Each threshold reached adds one to the index: a two-bit counter, three thresholds at most.
            var intensity = random.Slice(1 + _basisPlanes, _intensityPlanes);
            ulong low = 0, high = 0;
            foreach (var threshold in _intensityThresholds)
            {
                var reached = ~Below(intensity, threshold);
                high |= low & reached;
                low ^= reached;
            }

            packed[at + 2] = low;
            packed[at + 3] = high;
            random = random[_wordsPerGroup..];
        }
    }
}

/// <summary>Probabilities of Alice's choices, exact multiples of 1/256.</summary>
/// <param name="XBasisOf256">Probability of the test basis X, in units of 1/256; 1 to 255.</param>
/// <param name="IntensitiesOf256">Probability of each intensity index in units of 1/256, brightest first; one to four, sum 256.</param>
public sealed record SymbolProbabilities(int XBasisOf256, IReadOnlyList<int> IntensitiesOf256)
{
    /// <summary>Rounds probabilities to multiples of 1/256; the last intensity takes the remainder.</summary>
    /// <exception cref="ArgumentException">Not one to four intensities, or the probabilities do not sum to 1 within 1/256 each.</exception>
    public static SymbolProbabilities FromProbabilities(double keyBasis, IReadOnlyList<double> intensities)
    {
        ArgumentNullException.ThrowIfNull(intensities);
        if (!(keyBasis is > 0 and < 1))
        {
            throw new ArgumentException("The probability of the key basis must lie between 0 and 1.");
        }

        if (intensities.Count is < 1 or > 4 || intensities.Any(p => !(p > 0)) || Math.Abs(intensities.Sum() - 1) > 1e-6)
        {
            throw new ArgumentException("One to four positive intensity probabilities that sum to 1 are needed.");
        }

        var weights = intensities.Select(p => Math.Max(1, (int)Math.Round(p * 256))).ToArray();
        weights[^1] = 256 - weights.SkipLast(1).Sum();
        if (weights[^1] < 1)
        {
            throw new ArgumentException("The last intensity's probability is below 1/256.");
        }

        return new(Math.Clamp((int)Math.Round((1 - keyBasis) * 256), 1, 255), weights);
    }

    /// <summary>Probability of the key basis.</summary>
    public double KeyBasis => 1 - (XBasisOf256 / 256.0);

    /// <summary>Probability of an intensity index.</summary>
    public double Intensity(int index) => IntensitiesOf256[index] / 256.0;
}

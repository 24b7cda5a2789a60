namespace Qkd.Distillation;

/// <summary>What a decoy-state experiment counted, besides its key bits. Brightest intensity first.</summary>
/// <param name="Means">Three mean photon numbers.</param>
/// <param name="Probabilities">With which each was sent.</param>
/// <param name="KeyCounts">Matched detections in the key basis; their sum is the number of key bits.</param>
/// <param name="TestCounts">Matched detections in the test basis.</param>
/// <param name="TestErrors">Errors among them.</param>
public sealed record DecoyCounts(
    IReadOnlyList<double> Means, IReadOnlyList<double> Probabilities, IReadOnlyList<long> KeyCounts, IReadOnlyList<long> TestCounts, IReadOnlyList<long> TestErrors);

/// <summary>A source without multi-photon pulses, as whoever brings the bits declares it.</summary>
/// <param name="Source">What it is declared to be.</param>
/// <param name="Secrecy">ε_sec, 0 to 1.</param>
/// <param name="Correctness">ε_cor, 0 to 1.</param>
public sealed record DeclaredModel(DeclaredSource Source, double Secrecy, double Correctness)
{
    /// <summary>
    /// The error rate of the test bits beyond which the block is lost, fixed before the block; NaN takes what was observed, and the length is then a figure and not a proof.
    /// </summary>
    public double ToleratedErrorRate { get; init; } = double.NaN;
}

/// <summary>
/// Sifted bits that somebody brings from elsewhere. Nobody here saw the photons: whatever key they give is <see cref="KeyGrade.Laboratory"/> for ever.
/// </summary>
public static class BroughtBits
{
    /// <summary>Most bits of a block, 2^27.</summary>
    public const int MaximumBits = 1 << 27;

    /// <summary>A block of a single-photon or pair source, bounded as in Tomamichel et al. 2012. Never for weak coherent pulses.</summary>
    /// <param name="keyBits">This end's bits, packed from the least significant bit upwards.</param>
    /// <param name="count">Their number, at most <see cref="MaximumBits"/>.</param>
    /// <param name="testCount">Bits of the test basis, or of a random sample, that were compared and thrown away.</param>
    /// <param name="testErrors">Errors among them.</param>
    /// <param name="model">The source as it is declared, with the failure probabilities.</param>
    /// <exception cref="DistillationException">A number is out of its range.</exception>
    public static SiftedBlock OfSinglePhotons(ReadOnlySpan<ulong> keyBits, int count, long testCount, long testErrors, DeclaredModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var parameters = Parameters(
            [new(0, 0, 0, 1.0 / 3), new(0, 0, 0, 1.0 / 3), new(0, 0, 0, 1.0 / 3)],
            new SecurityParameters { Verification = model.Correctness },
            new SourceModel.SinglePhotons(model.Source, model.Secrecy, model.ToleratedErrorRate));
        return Block(parameters, keyBits, count, [count, 0, 0], [testCount, 0, 0], [testErrors, 0, 0]);
    }

    /// <summary>A block of weak coherent pulses with two decoys, whose counts were taken elsewhere.</summary>
    /// <param name="keyBits">This end's bits, packed from the least significant bit upwards.</param>
    /// <param name="count">Their number, at most <see cref="MaximumBits"/>.</param>
    /// <param name="counts">The counts.</param>
    /// <param name="security">Failure probabilities and detector model.</param>
    /// <exception cref="DistillationException">A number is out of its range, or the counts are not those of so many bits.</exception>
    public static SiftedBlock OfDecoys(ReadOnlySpan<ulong> keyBits, int count, DecoyCounts counts, SecurityParameters security)
    {
        ArgumentNullException.ThrowIfNull(counts);
        IReadOnlyList<double> means = counts.Means ?? [], probabilities = counts.Probabilities ?? [];
        IReadOnlyList<long>[] lists = [counts.KeyCounts ?? [], counts.TestCounts ?? [], counts.TestErrors ?? []];
        if (means.Count != BlockParameters.IntensityCount || probabilities.Count != means.Count || lists.Any(list => list.Count != means.Count))
        {
            throw new DistillationException("Two decoys need means, probabilities, key counts, test counts and test errors of three intensities each.");
        }

        if (lists[0].Sum() != count)
        {
            throw new DistillationException($"The key counts add up to {lists[0].Sum()}, but there are {count} key bits.");
        }

        var parameters = Parameters(
            [.. means.Zip(probabilities).Select(pair => new IntensityClass(pair.First, pair.First, pair.First, pair.Second))], security, SourceModel.Decoys);
        return Block(parameters, keyBits, count, [.. lists[0]], [.. lists[1]], [.. lists[2]]);
    }

    private static BlockParameters Parameters(IReadOnlyList<IntensityClass> intensities, SecurityParameters security, SourceModel source)
    {
        var parameters = new BlockParameters
        {
            BlockId = 1,
            FirstFrame = 0,
            FrameCount = 1,
            FrameSlots = 64,
            PilotSlots = 0,
            Intensities = intensities,
            Security = security,
            Source = source,
            Grade = KeyGrade.Laboratory,
        };
        parameters.Validate();
        return parameters;
    }

    private static SiftedBlock Block(BlockParameters parameters, ReadOnlySpan<ulong> keyBits, int count, long[] keyCounts, long[] testCounts, long[] testErrors)
    {
        if (count is < 1 or > MaximumBits || keyBits.Length < BitString.WordCount(count))
        {
            throw new DistillationException($"A block has 1 to {MaximumBits} bits, not {count}.");
        }

        if (testCounts.Concat(keyCounts).Any(value => value < 0) || testErrors.Zip(testCounts).Any(pair => pair.First < 0 || pair.First > pair.Second))
        {
            throw new DistillationException("Counts are negative, or there are more errors than bits.");
        }

        var key = new BitString(count);
        BitRange.Copy(keyBits, 0, count, key.Words);

        // Which bit is of which intensity is not known: they stand in order, so that of the key's errors only the sum means anything.
        var (low, high) = (new BitString(count), new BitString(count));
        Set(low, keyCounts[0], keyCounts[1]);
        Set(high, keyCounts[0] + keyCounts[1], keyCounts[2]);
        return new(parameters, key, new IntensityPlanes(low, high), keyCounts, testCounts, testErrors)
        {
            Detections = count + testCounts.Sum(),
            MultiClicks = 0,
        };
    }

    private static void Set(BitString bits, long start, long count)
    {
        for (var i = start; i < start + count; i++)
        {
            bits.Words[(int)(i >> 6)] |= 1UL << (int)i;
        }
    }
}

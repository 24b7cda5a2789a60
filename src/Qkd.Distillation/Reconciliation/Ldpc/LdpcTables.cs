namespace Qkd.Distillation;

/// <summary>
/// The arithmetic of a check in small integers. Reliabilities (log-likelihood ratios L) are counted in quarters. With
/// φ(L) = -ln tanh(L/2), which is its own inverse, the reliability that a check tells to one of its symbols is φ of the sum of φ over
/// all others (R. G. Gallager, 1963); φ is counted in 64ths, saturated in one byte.
/// </summary>
/// <remarks>
/// A reliable symbol adds less than one 64th, and fifty of them must not be rounded to nothing, nor to fifty. So φ is rounded
/// differently from entry to entry of a row: eight tables with thresholds spread evenly over the step, right on average over any
/// eight. From L = 8 on φ counts as 0; where a sum is 0, the check tells little less than the least level that it heard, which comes
/// close to the truth where all are large. Without that, small clusters of errors hold out against messages that are all alike.
/// </remarks>
internal sealed class LdpcTables
{
    /// <summary>Tables of φ, used in turn by the entries of a row.</summary>
    public const int Turns = 8;

    /// <summary>Steps of L in 1.</summary>
    public const double LevelsPerUnit = 4;

    /// <summary>L, in steps, from which φ counts as 0: what two byte-shuffle tables hold.</summary>
    public const int Certain = 32;

    /// <summary>Steps of φ in 1.</summary>
    public const double SumPerUnit = 64;

    /// <summary>What a check tells at least where the sum of φ was rounded to 0, in steps of L.</summary>
    public const int LevelOfNothing = 24;

    /// <summary>Most that a check tells, in steps of L.</summary>
    public const int LargestLevel = 44;

    /// <summary>Where the sum was rounded to 0, a check tells the least level that it heard, less this.</summary>
    public const int LessThanLeast = 4;

    // Where the inverse's three tables of 16 begin and end: single steps of the sum, then pairs, then eights, beyond which it is 0.
    public const int PairsFrom = 16;
    public const int EightsFrom = PairsFrom + (16 * 2);
    public const int NothingFrom = EightsFrom + (16 * 8);

    private static readonly double[] Thresholds = [0.5625, 0.0625, 0.8125, 0.3125, 0.6875, 0.1875, 0.9375, 0.4375];
    private readonly byte[] _phi = new byte[Turns * Certain];
    private readonly byte[] _phiOfLeast = new byte[Certain];
    private readonly byte[] _inverse = new byte[48];

    private LdpcTables()
    {
        for (var level = 0; level < Certain; level++)
        {
            var phi = Phi(level / LevelsPerUnit) * SumPerUnit;
            _phiOfLeast[level] = (byte)Math.Min(255, Math.Floor(phi + 0.5));
            for (var turn = 0; turn < Turns; turn++)
            {
                _phi[(turn * Certain) + level] = (byte)Math.Min(255, Math.Floor(phi + Thresholds[turn]));
            }
        }

        for (var i = 0; i < 16; i++)
        {
            _inverse[i] = Level(i);
            _inverse[16 + i] = Level(PairsFrom + (2 * i) + 0.5);
            _inverse[32 + i] = Level(EightsFrom + (8 * i) + 3.5);
        }

        static byte Level(double sum) =>
            (byte)Math.Min(LevelOfNothing, Math.Floor((Phi(sum / SumPerUnit) * LevelsPerUnit) + 0.5));
    }

    /// <summary>The tables.</summary>
    public static LdpcTables Instance { get; } = new();

    /// <summary>φ of the levels 0 to 31, for each turn.</summary>
    public ReadOnlySpan<byte> PhiByTurn => _phi;

    /// <summary>φ of the levels 0 to 31, rounded to the nearest: for the least reliable entry, which is added last.</summary>
    public ReadOnlySpan<byte> PhiOfLeast => _phiOfLeast;

    /// <summary>The three tables of the inverse.</summary>
    public ReadOnlySpan<byte> InverseParts => _inverse;

    /// <summary>Reliability of a symbol as it was received, in steps of L: the logarithm of the odds of its being right.</summary>
    /// <param name="errorRate">0 to 1/2. Below 0.001 a symbol would count as certain: it is taken for that.</param>
    public static sbyte ReliabilityOf(double errorRate)
    {
        var rate = Math.Clamp(errorRate, 0.001, 0.45);
        return (sbyte)Math.Round(LevelsPerUnit * Math.Log((1 - rate) / rate));
    }

    /// <summary>φ of a level, counted.</summary>
    public int PhiOf(int turn, int level) => level < Certain ? _phi[(turn * Certain) + level] : 0;

    /// <summary>φ of a row's least level.</summary>
    public int PhiOfLeastLevel(int level) => level < Certain ? _phiOfLeast[level] : 0;

    /// <summary>The level that a check tells.</summary>
    /// <param name="sum">The sum of φ of the levels that it heard, but for the symbol that is told.</param>
    /// <param name="least">The least of these levels.</param>
    public int LevelOf(int sum, int least) => sum switch
    {
        0 => Math.Max(LevelOfNothing, Math.Min(LargestLevel, least - LessThanLeast)),
        < PairsFrom => _inverse[sum],
        < EightsFrom => _inverse[16 + ((sum - PairsFrom) >> 1)],
        < NothingFrom => _inverse[32 + ((sum - EightsFrom) >> 3)],
        _ => 0,
    };

    private static double Phi(double x) => x == 0 ? double.PositiveInfinity : -Math.Log(Math.Tanh(x / 2));
}

namespace Qkd.Distillation;

/// <summary>The methods of error correction.</summary>
public enum ReconciliationMethod
{
    /// <summary>For each block the one that promises more secret bits a second.</summary>
    Auto = 0,

    /// <summary>Cascade: leaks least, in hundreds of rounds; counts one end's parities where the error pattern may be taken as public.</summary>
    Cascade = 1,

    /// <summary>One-way LDPC codes: one to four rounds, more leaked, and no argument about what the other end said.</summary>
    Ldpc = 2,
}

/// <summary>What a method promises for a block.</summary>
/// <param name="Method">The method.</param>
/// <param name="Efficiency">f: bits leaked over the limit of information, n h(Q).</param>
/// <param name="Rounds">Messages each way.</param>
/// <param name="BitsPerSecond">Sifted bits a second that the busier end corrects, waiting left out.</param>
public sealed record ReconciliationForecast(ReconciliationMethod Method, double Efficiency, double Rounds, double BitsPerSecond)
{
    /// <summary>Blocks that are corrected side by side: while one waits for an answer, the other works.</summary>
    public const int BlocksAtOnce = 2;

    /// <summary>Share of the sifted bits that is secret before error correction is paid for, where no block has told better.</summary>
    public const double UsualSecretShare = 0.5;

    // QBER, f, rounds, Mb/s; between them straight lines. Efficiency and rounds are those of the tables of docs/performance.md. The speeds are no more than a cautious
    // start, below what a quiet machine measures: each block corrects them.
    private static readonly (double Qber, double Efficiency, double Rounds, double Megabits)[] CascadeTable =
    [
        (0.005, 1.037, 450, 260), (0.01, 1.037, 450, 200), (0.02, 1.04, 450, 150), (0.03, 1.04, 500, 140), (0.05, 1.042, 950, 110), (0.08, 1.056, 1100, 75), (0.11, 1.062, 1150, 70),
    ];

    private static readonly (double Qber, double Efficiency, double Rounds, double Megabits)[] LdpcTable =
    [
        (0.005, 1.34, 1.2, 85), (0.01, 1.24, 1.2, 80), (0.02, 1.163, 1.2, 55), (0.03, 1.147, 1.2, 55), (0.05, 1.133, 1.2, 40), (0.08, 1.116, 1.2, 45), (0.11, 1.126, 1.2, 40),
    ];

    /// <summary>The forecast of a method at an error rate, from what was measured.</summary>
    /// <param name="method">Cascade or LDPC.</param>
    /// <param name="errorRate">Error rate, 0 to 1; NaN counts as 5 %.</param>
    public static ReconciliationForecast Of(ReconciliationMethod method, double errorRate)
    {
        var table = method switch
        {
            ReconciliationMethod.Cascade => CascadeTable,
            ReconciliationMethod.Ldpc => LdpcTable,
            _ => throw new ArgumentOutOfRangeException(nameof(method), method, "A forecast is of one method."),
        };
        var rate = double.IsFinite(errorRate) ? Math.Clamp(errorRate, table[0].Qber, table[^1].Qber) : 0.05;
        var next = Math.Max(1, Array.FindIndex(table, row => row.Qber >= rate));
        var (low, high) = (table[next - 1], table[next]);
        var share = (rate - low.Qber) / (high.Qber - low.Qber);
        return new(method, Between(low.Efficiency, high.Efficiency), Between(low.Rounds, high.Rounds), 1e6 * Between(low.Megabits, high.Megabits));

        double Between(double a, double b) => a + (share * (b - a));
    }

    /// <summary>Secret bits a second to expect: the pace at which blocks can be corrected, or at which they come, times what is left of each bit.</summary>
    /// <param name="blockBits">Sifted bits of the block.</param>
    /// <param name="conditions">What is known of block and link.</param>
    public double SecretBitsPerSecond(int blockBits, ReconciliationConditions conditions)
    {
        ArgumentNullException.ThrowIfNull(conditions);
        var rate = double.IsFinite(conditions.ErrorRate) ? conditions.ErrorRate : 0.05;
        var left = (conditions.SecretShare > 0 ? conditions.SecretShare : UsualSecretShare) - (Efficiency * FiniteKey.BinaryEntropy(rate));
        var seconds = (blockBits / BitsPerSecond) + (Rounds * conditions.RoundTrip.TotalSeconds);
        var pace = Math.Min(BitsPerSecond, BlocksAtOnce * blockBits / seconds);
        return left * (conditions.SiftedBitsPerSecond > 0 ? Math.Min(pace, conditions.SiftedBitsPerSecond) : pace);
    }
}

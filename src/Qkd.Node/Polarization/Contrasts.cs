namespace Qkd.Node.Polarization;

/// <summary>
/// What the pilots say about the polarization: the contrast of each measured basis for each sent basis, -1 to 1, and how well it is known.
/// Aligned is +1 for equal bases and 0 for different ones, each times the bench's visibility.
/// </summary>
/// <param name="ZtoZ">Contrast in Z of what was sent in Z.</param>
/// <param name="ZtoX">Contrast in X of what was sent in Z.</param>
/// <param name="XtoZ">Contrast in Z of what was sent in X.</param>
/// <param name="XtoX">Contrast in X of what was sent in X.</param>
/// <param name="Sigma">Standard deviation of each.</param>
public readonly record struct Contrasts(double ZtoZ, double ZtoX, double XtoZ, double XtoX, double Sigma)
{
    /// <summary>Error rate in basis Z, 0 to 1.</summary>
    public double ErrorZ => (1 - ZtoZ) / 2;

    /// <summary>Error rate in basis X, 0 to 1.</summary>
    public double ErrorX => (1 - XtoX) / 2;

    /// <summary>From clicks by sent state (H, V, D, A) and detector (H, V, D, A).</summary>
    /// <param name="clicks">Sixteen counts, the sent state in the higher place.</param>
    public static Contrasts FromClicks(ReadOnlySpan<long> clicks)
    {
        var (zz, n1) = Contrast(clicks, 0, 0);
        var (zx, n2) = Contrast(clicks, 0, 2);
        var (xz, n3) = Contrast(clicks, 2, 0);
        var (xx, n4) = Contrast(clicks, 2, 2);

        // One figure serves all four: the worst case of a contrast near zero, from the poorest count.
        return new(zz, zx, xz, xx, 1 / Math.Sqrt(Math.Max(1, Math.Min(Math.Min(n1, n2), Math.Min(n3, n4)))));
    }

    private static (double Contrast, long Clicks) Contrast(ReadOnlySpan<long> clicks, int sent, int measured)
    {
        var same = clicks[(4 * sent) + measured] + clicks[(4 * (sent + 1)) + measured + 1];
        var other = clicks[(4 * sent) + measured + 1] + clicks[(4 * (sent + 1)) + measured];
        return same + other == 0 ? (0, 0) : ((double)(same - other) / (same + other), same + other);
    }
}

namespace Qkd.Distillation;

/// <summary>What sent the bits of a block, and so which proof bounds its key.</summary>
public abstract record SourceModel
{
    private SourceModel()
    {
    }

    /// <summary>Phase-randomised weak coherent pulses of three intensities: two decoys, variable length (Tupkary et al., arXiv:2408.17349).</summary>
    public static SourceModel Decoys { get; } = new WeakCoherentPulses();

    /// <summary>Weak coherent pulses with two decoys.</summary>
    internal sealed record WeakCoherentPulses : SourceModel;

    /// <summary>
    /// Single photons or entangled pairs, by declaration of whoever brings the bits (Tomamichel et al. 2012). Never for weak coherent pulses, and never of the
    /// Attested grade: nothing here has seen the source.
    /// </summary>
    /// <param name="Declared">What is declared.</param>
    /// <param name="Secrecy">ε_sec, 0 to 1.</param>
    /// <param name="ToleratedErrorRate">
    /// The error rate of the test bits beyond which the block is lost. The proof wants it fixed before the block; NaN takes what was observed, and the length is then a figure and not a proof.
    /// </param>
    internal sealed record SinglePhotons(DeclaredSource Declared, double Secrecy, double ToleratedErrorRate) : SourceModel;
}

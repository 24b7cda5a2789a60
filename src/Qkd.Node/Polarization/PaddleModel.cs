namespace Qkd.Node.Polarization;

/// <summary>
/// The optics between Alice's modulator and Bob's polarizers as the aligner sees them: an unknown rotation, three retarders at known
/// angles whose retardance is nearly known, another unknown rotation, and a visibility.
/// </summary>
internal sealed class PaddleModel
{
    /// <summary>Parameters: rotation before (3), rotation after (3), retardances in waves (3), visibility.</summary>
    public const int ParameterCount = 10;

    private readonly double[] _parameters;

    private PaddleModel(double[] parameters) => _parameters = parameters;

    /// <summary>Contrast of the whole, 0 to 1: what a perfect alignment would show.</summary>
    public double Visibility => _parameters[9];

    /// <summary>The rotation before the paddles.</summary>
    public Rotation Before => Rotation.About(_parameters[0], _parameters[1], _parameters[2]);

    /// <summary>A model with these parameters.</summary>
    public static PaddleModel From(ReadOnlySpan<double> parameters) => new(parameters.ToArray());

    /// <summary>Copies the parameters out.</summary>
    public void CopyTo(Span<double> parameters) => _parameters.CopyTo(parameters);

    /// <summary>The whole rotation with the paddles at these angles.</summary>
    public Rotation At(ReadOnlySpan<double> degrees) => After(degrees) * Before;

    /// <summary>Everything from the paddles on.</summary>
    public Rotation After(ReadOnlySpan<double> degrees) =>
        Rotation.About(_parameters[3], _parameters[4], _parameters[5]) * Paddles(degrees, _parameters.AsSpan(6, 3));

    /// <summary>The three retarders alone, first to last.</summary>
    public static Rotation Paddles(ReadOnlySpan<double> degrees, ReadOnlySpan<double> waves) =>
        Rotation.Retarder(degrees[2], waves[2]) * Rotation.Retarder(degrees[1], waves[1]) * Rotation.Retarder(degrees[0], waves[0]);
}

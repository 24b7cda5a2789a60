namespace Qkd.Sim.Optics;

/// <summary>
/// What arrives at the detectors for each kind of light that can leave the transmitter's end: the mean number of photoelectrons at each
/// of the four detectors, and from them the tables by which candidates are drawn. Made anew when something slow has changed.
/// </summary>
/// <remarks>
/// Kinds 0 to 15 are the transmitter's symbols (bit + 2 basis + 4 intensity), 16 to 19 the eavesdropper's pulses (bit + 2 basis), 20 is
/// vacuum. Each photoelectron of a kind is a point of a Poisson process: points are drawn at the rate of the brightest kind that
/// occurs, and a point is kept, and given to a detector, with the shares of the kind that its slot really holds.
/// </remarks>
internal sealed class PulseTable
{
    public const int SymbolKinds = 16;
    public const int ResentKinds = 16;
    public const int Vacuum = 20;
    public const int Kinds = 21;

    /// <summary>The outcome of <see cref="Choices"/> that drops a candidate.</summary>
    public const int Dropped = 4;

    private const int Detectors = OpticalLine.DetectorCount;

    /// <summary>Never fewer candidates a slot than this, so that distances stay small; those too many are dropped.</summary>
    private const double LeastRate = 1.0 / (1 << 20);

    /// <summary>A detector that sees more than this clicks with certainty: exp(-40) is 4e-18.</summary>
    private const double Saturation = 40;

    private readonly OpticsSettings _settings;
    private readonly Stokes[] _states;
    private readonly double[] _means = new double[Kinds * Detectors];
    private readonly double[] _perPhoton = new double[4 * Detectors];
    private readonly ulong[] _clickThresholds = new ulong[Kinds * Detectors];

    public PulseTable(OpticsSettings settings)
    {
        _settings = settings;
        var source = settings.Source;
        var purity = 1 - (2 * source.StateError);
        var (sin, cos) = Math.SinCos(source.BasisSkewRadians);
        _states =
        [
            purity * new Stokes(1, 0, 0), purity * new Stokes(-1, 0, 0),
            purity * new Stokes(sin, cos, 0), purity * new Stokes(-sin, -cos, 0),
        ];
    }

    /// <summary>Rows of <see cref="Kinds"/>: which detector a candidate belongs to, or <see cref="Dropped"/>.</summary>
    public ChoiceTable Choices { get; } = new(Kinds);

    /// <summary>Rows of symbols: what becomes of the pulse at the eavesdropper, as a kind less 15; 0 for passing untouched.</summary>
    public ChoiceTable Interceptions { get; } = new(SymbolKinds);

    /// <summary>Whether pulses may be intercepted.</summary>
    public bool Intercepting { get; private set; }

    /// <summary>Candidates a slot: the photoelectrons of the brightest kind that occurs.</summary>
    public double Rate { get; private set; }

    /// <summary>Mean photons of an eavesdropper's pulse as it enters the fibre.</summary>
    public double ResentPhotons { get; private set; }

    /// <summary>Mean photoelectrons by kind and detector, four a kind.</summary>
    public ReadOnlySpan<double> Means => _means;

    /// <summary>Probability of at least one photoelectron by kind and detector, in units of 2^-64.</summary>
    public ReadOnlySpan<ulong> ClickThresholds => _clickThresholds;

    /// <summary>Computes everything.</summary>
    public void Update(double attenuatorDecibels, IReadOnlyList<double> photonsPerPulse, Rotation rotation, EavesdropperSettings eavesdropper)
    {
        var attenuation = Math.Pow(10, -attenuatorDecibels / 10);
        Array.Clear(_means);
        var photons = 0.0;
        for (var kind = 0; kind < SymbolKinds; kind++)
        {
            photons = kind >> 2 < photonsPerPulse.Count ? photonsPerPulse[kind >> 2] * attenuation : 0;
            SetMeans(_means.AsSpan(kind * Detectors, Detectors), photons, rotation.Apply(_states[kind & 3]));
        }

        Intercepting = eavesdropper.Kind == EavesdropperKind.InterceptResend && eavesdropper.Fraction > 0;
        if (Intercepting)
        {
            UpdateEavesdropper(attenuation, photonsPerPulse, rotation, eavesdropper.Fraction);
        }

        UpdateChoices();
    }

    /// <summary>Passive linear optics: each detector sees its share of a pulse's light.</summary>
    private void SetMeans(Span<double> means, double photons, Stokes state)
    {
        var receiver = _settings.Receiver;
        var light = photons * _settings.Channel.Transmittance * Math.Pow(10, -receiver.InsertionLossDecibels / 10);
        var z = receiver.ZArmFraction * light / 2;
        var x = (1 - receiver.ZArmFraction) * light / 2;
        var zContrast = (1 - (2 * Math.Pow(10, -receiver.ZExtinctionDecibels / 10))) * state.S1;
        var xContrast = (1 - (2 * Math.Pow(10, -receiver.XExtinctionDecibels / 10))) * state.S2;
        var detectors = _settings.Detectors;
        means[0] = z * (1 + zContrast) * detectors[0].Efficiency;
        means[1] = z * (1 - zContrast) * detectors[1].Efficiency;
        means[2] = x * (1 + xContrast) * detectors[2].Efficiency;
        means[3] = x * (1 - xContrast) * detectors[3].Efficiency;
    }

    private void UpdateEavesdropper(double attenuation, IReadOnlyList<double> photonsPerPulse, Rotation rotation, double fraction)
    {
        var source = _settings.Source;
        Span<double> outcomes = stackalloc double[4];
        Span<double> weights = stackalloc double[6];
        Span<double> resent = stackalloc double[4];
        resent.Clear();
        var clicksWithout = 0.0;
        for (var symbol = 0; symbol < SymbolKinds; symbol++)
        {
            var intensity = symbol >> 2;
            var photons = intensity < photonsPerPulse.Count ? photonsPerPulse[intensity] * attenuation : 0;
            Measure(photons, _states[symbol & 3], outcomes);
            weights[0] = 1 - fraction;
            weights[5] = fraction * Math.Exp(-photons);
            for (var k = 0; k < 4; k++)
            {
                weights[1 + k] = fraction * outcomes[k];
            }

            Interceptions.SetRow(symbol, weights);

            var probability = (intensity < source.IntensityProbabilities.Count ? source.IntensityProbabilities[intensity] : 0)
                * ((symbol & 2) == 0 ? source.ZBasisProbability : 1 - source.ZBasisProbability) / 2;
            clicksWithout += probability * Clicks(_means.AsSpan(symbol * Detectors, Detectors), 1, out _);
            for (var k = 0; k < 4; k++)
            {
                resent[k] += probability * outcomes[k];
            }
        }

        for (var k = 0; k < 4; k++)
        {
            Stokes state = k switch { 0 => new(1, 0, 0), 1 => new(-1, 0, 0), 2 => new(0, 1, 0), _ => new(0, -1, 0) };
            SetMeans(_perPhoton.AsSpan(k * Detectors, Detectors), 1, rotation.Apply(state));
        }

        ResentPhotons = SolveResentPhotons(clicksWithout, resent);
        for (var i = 0; i < _perPhoton.Length; i++)
        {
            _means[(ResentKinds * Detectors) + i] = ResentPhotons * _perPhoton[i];
        }
    }

    /// <summary>
    /// Probabilities of the results Z0, Z1, X0, X1 of ideal detectors in a basis drawn evenly: of two that click, one drawn evenly.
    /// </summary>
    private static void Measure(double photons, Stokes state, Span<double> outcomes)
    {
        for (var basis = 0; basis < 2; basis++)
        {
            var component = basis == 0 ? state.S1 : state.S2;
            var none0 = Math.Exp(-photons * (1 + component) / 2);
            var none1 = Math.Exp(-photons * (1 - component) / 2);
            var both = (1 - none0) * (1 - none1);
            outcomes[2 * basis] = (((1 - none0) * none1) + (both / 2)) / 2;
            outcomes[(2 * basis) + 1] = (((1 - none1) * none0) + (both / 2)) / 2;
        }
    }

    /// <summary>
    /// The pulse energy at which the mean number of detectors that click is what it is without her. That number grows with the energy
    /// and bends down, so Newton's method from below runs straight to it.
    /// </summary>
    private double SolveResentPhotons(double clicksWithout, ReadOnlySpan<double> resent)
    {
        var photons = 0.0;
        for (var round = 0; round < 60; round++)
        {
            var clicks = 0.0;
            var slope = 0.0;
            for (var k = 0; k < 4; k++)
            {
                clicks += resent[k] * Clicks(_perPhoton.AsSpan(k * Detectors, Detectors), photons, out var partialSlope);
                slope += resent[k] * partialSlope;
            }

            var missing = clicksWithout - clicks;
            if (missing <= 1e-13 * clicksWithout || slope <= 0 || photons > 1e9)
            {
                break;
            }

            photons += missing / slope;
        }

        return photons;
    }

    /// <summary>Mean number of detectors with at least one photoelectron, and its derivative by the pulse's energy.</summary>
    private static double Clicks(ReadOnlySpan<double> means, double scale, out double slope)
    {
        var clicks = 0.0;
        slope = 0;
        foreach (var mean in means)
        {
            var none = Math.Exp(-mean * scale);
            clicks += 1 - none;
            slope += mean * none;
        }

        return clicks;
    }

    private void UpdateChoices()
    {
        var rate = LeastRate;
        for (var kind = 0; kind < Kinds; kind++)
        {
            var means = _means.AsSpan(kind * Detectors, Detectors);
            var sum = 0.0;
            for (var d = 0; d < Detectors; d++)
            {
                means[d] = Math.Min(means[d], Saturation);
                sum += means[d];
                var click = 1 - Math.Exp(-means[d]);
                _clickThresholds[(kind * Detectors) + d] = click >= 1 ? ulong.MaxValue : (ulong)(click * 18446744073709551616.0);
            }

            rate = Math.Max(rate, sum);
        }

        Rate = rate;
        Span<double> weights = stackalloc double[Detectors + 1];
        for (var kind = 0; kind < Kinds; kind++)
        {
            var kept = 0.0;
            for (var d = 0; d < Detectors; d++)
            {
                weights[d] = _means[(kind * Detectors) + d] / rate;
                kept += weights[d];
            }

            weights[Dropped] = Math.Max(0, 1 - kept);
            Choices.SetRow(kind, weights);
        }
    }
}

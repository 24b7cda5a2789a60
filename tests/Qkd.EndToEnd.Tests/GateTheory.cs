namespace Qkd.EndToEnd.Tests;

/// <summary>
/// What an aligned receiver with veto must count, written out from sections 2, 5 and 6 of docs/physics.md: gains and error gains for each
/// intensity and basis, with dead time, veto, dark counts, afterpulses, cross-clicks and the splitter.
/// </summary>
/// <remarks>
/// The pattern of clicks of a slot (four detectors, and whether noise clicked outside the gate) is a Markov chain: a detector that clicked is
/// dead in the next slot, and the receiver does not look at a slot after any click. Valid for a dead time between one and two slots.
/// </remarks>
internal sealed class GateTheory
{
    public const double SlotSeconds = 10e-9;
    private const double DeadTimeSeconds = 15e-9;
    private const double AfterpulseDecaySeconds = 50e-9;
    private const double DarkCountsPerSecond = 100;
    private const double AfterpulseProbability = 0.005;
    private const double GateShare = 0.2;
    private const double Efficiency = 0.85;
    private const double StateError = 0.005;
    private const double Skew = 0.02;
    private const double ExtinctionDb = 27;
    private static readonly double[] Means = [0.45, 0.15, 0.001];
    private static readonly double[] IntensityProbabilities = [0.5, 0.3125, 0.1875];
    private static readonly double[] BasisProbabilities = [0.8125, 0.1875];

    // Patterns: bits 0 to 3 are clicks of H, V, D, A inside the gate, bits 4 to 7 outside of it.
    private const int Patterns = 256;

    private readonly double[,] _signal = new double[12, 4];
    private readonly double[,] _arrives = new double[12, 4];
    private readonly double[] _noise = new double[4];
    private readonly double[] _chain;
    private readonly double[] _dead = new double[16];

    /// <summary>Solves the chain.</summary>
    /// <param name="lossDb">Fibre and receiver, without the detectors' efficiency, in dB.</param>
    /// <param name="misalignedZ">Share of the light that turns to the wrong detector of the Z arm, beyond the transmitter's own error.</param>
    /// <param name="misalignedX">The same for the X arm.</param>
    public GateTheory(double lossDb, double misalignedZ = 0, double misalignedX = 0)
    {
        var transmission = Math.Pow(10, -lossDb / 10);
        var leak = Math.Pow(10, -ExtinctionDb / 10);
        for (var s = 0; s < 12; s++)
        {
            var (intensity, basis, bit) = (s >> 2, (s >> 1) & 1, s & 1);
            var sign = bit == 0 ? 1 : -1;
            var (s1, s2) = basis == 0 ? (1.0 * sign, 0.0) : (sign * Math.Sin(Skew), sign * Math.Cos(Skew));
            for (var d = 0; d < 4; d++)
            {
                var along = (1 - (2 * StateError)) * (1 - (2 * (d < 2 ? misalignedZ : misalignedX))) * (d < 2 ? s1 : s2);
                var share = (1 + ((d & 1) == 0 ? 1 : -1) * (1 - (2 * leak)) * along) / 2;
                _arrives[s, d] = transmission * 0.5 * share * Efficiency;
                _signal[s, d] = 1 - Math.Exp(-Means[intensity] * _arrives[s, d]);
            }
        }

        // Noise depends on the rate of clicks, and that on noise: a few rounds settle it.
        _chain = [];
        for (var round = 0; round < 4; round++)
        {
            _chain = Stationary();
            for (var d = 0; d < 4; d++)
            {
                var clicks = 0.0;
                var light = 0.0;
                for (var pattern = 0; pattern < Patterns; pattern++)
                {
                    clicks += (((pattern >> d) | (pattern >> (d + 4))) & 1) * _chain[pattern];
                }

                light = clicks - (_noise[d] * (1 - clicks));
                _noise[d] = (DarkCountsPerSecond * SlotSeconds) + (AfterpulseProbability * clicks * (1 - (light * AfterpulseMissed)));
            }
        }

        for (var pattern = 0; pattern < Patterns; pattern++)
        {
            _dead[(pattern | (pattern >> 4)) & 15] += _chain[pattern];
        }
    }

    /// <summary>Probability that a pulse of this intensity and basis is sent, times the mean number of detectors of its basis that click.</summary>
    public double TrueClicksPerSlot(int intensity, int basis) => PerSlot(intensity, basis, (symbol, b) => TrueClicks(symbol, 2 * b) + TrueClicks(symbol, (2 * b) + 1));

    /// <summary>The same for the wrong detector alone.</summary>
    public double TrueWrongClicksPerSlot(int intensity, int basis) => PerSlot(intensity, basis, (symbol, b) => TrueClicks(symbol, (2 * b) + 1 - (symbol & 1)));

    /// <summary>Mean probability that an afterpulse's detector is dead again from light in the slots before it is due: section 5.</summary>
    private static double AfterpulseMissed
    {
        get
        {
            var sum = 0.0;
            for (var slot = 2; slot < 200; slot++)
            {
                sum += Math.Exp(-((slot * SlotSeconds) - DeadTimeSeconds) / AfterpulseDecaySeconds) - Math.Exp(-slot * SlotSeconds / AfterpulseDecaySeconds);
            }

            return sum;
        }
    }

    /// <summary>Probability that a pulse of this intensity and basis is sent and is detected in its basis.</summary>
    public double MatchedPerSlot(int intensity, int basis) => PerSlot(intensity, basis, Gain);

    /// <summary>Probability that it is sent, detected in its basis, and has the wrong bit.</summary>
    public double ErrorsPerSlot(int intensity, int basis) => PerSlot(intensity, basis, ErrorGain);

    /// <summary>Probability that a pulse of this intensity and basis is sent.</summary>
    public static double SentPerSlot(int intensity, int basis) => IntensityProbabilities[intensity] * BasisProbabilities[basis];

    /// <summary>
    /// Y_n: probability that a pulse of this basis which leaves Alice with exactly n photons is detected in its basis. Each photon reaches detector d
    /// with its own probability, so that a set of detectors sees none of n with (1 - Σ)^n; what a slot before left dead does not depend on n.
    /// </summary>
    public double Yield(int photons, int basis)
    {
        var sum = 0.0;
        for (var bit = 0; bit < 2; bit++)
        {
            // The signal intensity's symbol: only how many photons there are depends on the intensity.
            var symbol = (basis << 1) | bit;
            var (own, other) = (2 * basis, 2 - (2 * basis));
            var toOther = _arrives[symbol, other] + _arrives[symbol, other + 1];
            var toAny = toOther + _arrives[symbol, own] + _arrives[symbol, own + 1];
            var quietOther = (1 - (GateShare * _noise[other])) * (1 - (GateShare * _noise[other + 1]));
            var quietAny = quietOther * (1 - (GateShare * _noise[own])) * (1 - (GateShare * _noise[own + 1]));
            sum += ((Math.Pow(1 - toOther, photons) * quietOther) - (Math.Pow(1 - toAny, photons) * quietAny)) / 2;
        }

        return _chain[0] * sum;
    }

    /// <summary>Probability that a slot gives a detection of either basis.</summary>
    public double DetectionsPerSlot()
    {
        var sum = 0.0;
        for (var s = 0; s < 12; s++)
        {
            sum += Probability(s) * (Gain(s, 0) + Gain(s, 1));
        }

        return sum;
    }

    private static double Probability(int symbol) =>
        IntensityProbabilities[symbol >> 2] * BasisProbabilities[(symbol >> 1) & 1] / 2;

    private static double PerSlot(int intensity, int basis, Func<int, int, double> of)
    {
        var symbol = (intensity << 2) | (basis << 1);
        return (Probability(symbol) * of(symbol, basis)) + (Probability(symbol + 1) * of(symbol + 1, basis));
    }

    /// <summary>Click inside the gate of a detector that is ready.</summary>
    private double Click(int symbol, int detector) => 1 - ((1 - _signal[symbol, detector]) * (1 - (GateShare * _noise[detector])));

    /// <summary>Clicks of a detector whatever the others do, inside the gate or outside of it.</summary>
    private double TrueClicks(int symbol, int detector)
    {
        var ready = 0.0;
        for (var set = 0; set < 16; set++)
        {
            ready += ((set >> detector) & 1) == 0 ? _dead[set] : 0;
        }

        return ready * (1 - ((1 - Click(symbol, detector)) * (1 - ((1 - GateShare) * _noise[detector]))));
    }

    private double Gain(int symbol, int basis)
    {
        var (a, b) = (Click(symbol, 2 * basis), Click(symbol, (2 * basis) + 1));
        return _chain[0] * NoCross(symbol, basis) * (1 - ((1 - a) * (1 - b)));
    }

    private double ErrorGain(int symbol, int basis)
    {
        var right = Click(symbol, (2 * basis) + (symbol & 1));
        var wrong = Click(symbol, (2 * basis) + 1 - (symbol & 1));
        return _chain[0] * NoCross(symbol, basis) * ((wrong * (1 - right)) + (right * wrong / 2));
    }

    private double NoCross(int symbol, int basis) => (1 - Click(symbol, 2 - (2 * basis))) * (1 - Click(symbol, 3 - (2 * basis)));

    private double[] Stationary()
    {
        // Only which detectors are dead matters for the next slot, so that the sum over patterns is first taken over the sixteen sets of them.
        var chain = new double[Patterns];
        chain[0] = 1;
        for (var step = 0; step < 60; step++)
        {
            var dead = new double[16];
            for (var pattern = 0; pattern < Patterns; pattern++)
            {
                dead[(pattern | (pattern >> 4)) & 15] += chain[pattern];
            }

            var next = new double[Patterns];
            for (var s = 0; s < 12; s++)
            {
                for (var set = 0; set < 16; set++)
                {
                    for (var pattern = 0; pattern < Patterns; pattern++)
                    {
                        next[pattern] += dead[set] * Probability(s) * PatternProbability(s, set, pattern);
                    }
                }
            }

            chain = next;
        }

        return chain;
    }

    private double PatternProbability(int symbol, int dead, int pattern)
    {
        var probability = 1.0;
        for (var d = 0; d < 4; d++)
        {
            var inside = (pattern >> d) & 1;
            var outside = (pattern >> (d + 4)) & 1;
            if (((dead >> d) & 1) == 1)
            {
                probability *= inside + outside == 0 ? 1 : 0;
                continue;
            }

            var click = Click(symbol, d);
            var noise = (1 - GateShare) * _noise[d];
            probability *= (inside, outside) switch
            {
                (1, 0) => click,
                (0, 1) => (1 - click) * noise,
                (0, 0) => (1 - click) * (1 - noise),
                _ => 0,
            };
        }

        return probability;
    }
}

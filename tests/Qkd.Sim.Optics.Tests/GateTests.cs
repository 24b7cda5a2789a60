namespace Qkd.Sim.Optics.Tests;

/// <summary>Gains and error rates of a receiver with veto on the default line against section 6 of docs/physics.md.</summary>
public sealed class GateTests
{
    [Fact]
    public void Gains_and_error_rates_after_the_veto_are_those_of_the_Markov_chain()
    {
        const long slots = 150_000_000;
        var emission = new Emission(Emission.Aligned, 41);
        var gate = Gate.Run(emission, slots, vetoSlots: 1);
        var truth = emission.Truth.Payload();
        var settings = emission.Line.Settings;

        // p[s, d]: probability that light of symbol s clicks in detector d when it is ready.
        var p = new double[16, 4];
        for (var s = 0; s < 12; s++)
        {
            for (var d = 0; d < 4; d++)
            {
                p[s, d] = 1 - Math.Exp(-emission.Line.MeanPhotoelectrons(s >> 2, s >> 1 & 1, s & 1, d));
            }
        }

        // The chain's state is the pattern of the slot before: its detectors are dead now (15 ns, slots of 10 ns). Noise clicks depend on the
        // rate of clicks, which the chain gives: three rounds settle it.
        var noise = new double[4];
        var chain = new double[16];
        for (var round = 0; round < 3; round++)
        {
            chain = Stationary(p, noise);
            for (var d = 0; d < 4; d++)
            {
                var clicks = Enumerable.Range(0, 16).Where(pattern => (pattern >> d & 1) == 1).Sum(pattern => chain[pattern]);
                var detector = settings.Detectors[d];
                noise[d] = (detector.DarkCountsPerSecond * 10e-9) + (detector.AfterpulseProbability * clicks);
            }
        }

        for (var s = 0; s < 12; s++)
        {
            var emitted = truth.Emitted(s >> 2, s >> 1 & 1, s & 1);
            for (var basis = 0; basis < 2; basis++)
            {
                var (a, b) = (Click(p, noise, s, 2 * basis), Click(p, noise, s, (2 * basis) + 1));
                var noCross = (1 - Click(p, noise, s, 2 - (2 * basis))) * (1 - Click(p, noise, s, 3 - (2 * basis)));
                var gain = chain[0] * noCross * (1 - ((1 - a) * (1 - b)));
                gate.Detections[s, basis].ShouldBeWithinFiveSigma(emitted * gain, Math.Sqrt(emitted * gain), $"symbol {s}, basis {basis}");
                if (basis == (s >> 1 & 1))
                {
                    var (right, wrong) = (s & 1) == 0 ? (a, b) : (b, a);
                    var errors = chain[0] * noCross * ((wrong * (1 - right)) + (right * wrong / 2));
                    gate.Errors[s].ShouldBeWithinFiveSigma(emitted * errors, Math.Sqrt(emitted * errors), $"errors of symbol {s}");
                }
            }
        }
    }

    private static double Click(double[,] p, double[] noise, int symbol, int detector) => 1 - ((1 - p[symbol, detector]) * (1 - noise[detector]));

    /// <summary>Stationary distribution of the pattern of clicks in a slot.</summary>
    private static double[] Stationary(double[,] p, double[] noise)
    {
        var chain = new double[16];
        chain[0] = 1;
        for (var step = 0; step < 60; step++)
        {
            var next = new double[16];
            for (var before = 0; before < 16; before++)
            {
                for (var s = 0; s < 12; s++)
                {
                    for (var pattern = 0; pattern < 16; pattern++)
                    {
                        var probability = SymbolDraw.Probability(s);
                        for (var d = 0; d < 4; d++)
                        {
                            var click = (before >> d & 1) == 1 ? 0 : Click(p, noise, s, d);
                            probability *= (pattern >> d & 1) == 1 ? click : 1 - click;
                        }

                        next[pattern] += chain[before] * probability;
                    }
                }
            }

            chain = next;
        }

        return chain;
    }
}

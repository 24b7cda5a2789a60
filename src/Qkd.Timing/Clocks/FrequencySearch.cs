using System.Numerics;
using MathNet.Numerics;
using MathNet.Numerics.IntegralTransforms;

namespace Qkd.Timing.Clocks;

/// <summary>
/// Finds the sender's slot frequency in arrival times alone: they cluster once a slot, so their periodogram has a line there. The times are turned
/// back at the nominal frequency, binned, and transformed, which looks at the band around it alone.
/// </summary>
/// <remarks>
/// <para>For each detector d with N_d clicks, Z_d(f) = Σ exp(2πi f t). Without light |Z_d|²/N_d is an exponential variable of mean 1, and the sum over
/// D detectors has the tail probability Q(D, x) of the gamma distribution: a line must be so strong that over all frequencies and drifts tried the
/// probability of chance stays below the one asked for. Detectors need not be aligned with each other for it.</para>
/// <para>A drift d bends the phase by d τ²/16 slots away from the best straight line. Stretches are so short that this stays below
/// <see cref="BendSlots"/>; where they hold too few clicks, longer ones are tried against a grid of drifts.</para>
/// <para>The line of the arrival times is the first step of Qubit4Sync (Calderaro et al., arXiv:1909.12050, section III).</para>
/// </remarks>
internal sealed class FrequencySearch
{
    /// <summary>Farthest that the phase may bend away from a straight line, in slots.</summary>
    private const double BendSlots = 0.15;

    /// <summary>Clicks beyond this do not make a search better, only slower.</summary>
    private const int MostClicks = 24_000;

    /// <summary>Fewer than these say nothing.</summary>
    private const int FewestClicks = 60;

    /// <summary>Longest stretch, in units of the one that needs no drifts.</summary>
    private const int LongestStretch = 8;

    private readonly SignalClockSettings _settings;
    private readonly double _nominal;
    private readonly double _straight;

    public FrequencySearch(SignalClockSettings settings)
    {
        _settings = settings;
        _nominal = 1 / settings.SlotPeriodPicoseconds;
        var drift = settings.LargestDriftPpmPerSecond * 1e-6 * _nominal * 1e-12;
        _straight = Math.Sqrt(16 * BendSlots / drift);
    }

    /// <summary>The longest stretch that should be searched, in picoseconds. The work grows with the fourth power of the length beyond an eighth of it.</summary>
    public long LongestStretchPicoseconds => (long)(_straight * LongestStretch);

    /// <summary>Looks for the line in a stretch of clicks.</summary>
    /// <param name="times">Times in picoseconds, ascending.</param>
    /// <param name="detectors">The detector of each.</param>
    /// <returns>What was found; null if no line stands out enough.</returns>
    public FoundFrequency? Find(ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors)
    {
        if (times.Length < FewestClicks)
        {
            return null;
        }

        var length = (double)(times[^1] - times[0]);
        var drifts = 1;
        if (length > _straight)
        {
            // Between two neighbours of the grid a drift is off by half a step, which bends by as much as is allowed.
            drifts = 1 + (2 * (int)Math.Ceiling(length * length / (_straight * _straight) / 2));
        }

        var step = Math.Max(1, times.Length / MostClicks);
        var band = new Band(times[0], length, _nominal, _settings.LargestDeviationPpm * 1e-6);
        var perDetector = Collect(times, detectors, step, band, out var counts);
        var best = default(Line);
        for (var i = 0; i < drifts; i++)
        {
            var share = drifts == 1 ? 0 : (2.0 * i / (drifts - 1)) - 1;
            var drift = share * _settings.LargestDriftPpmPerSecond * 1e-6 * _nominal * 1e-12;
            var line = Strongest(perDetector, counts, band, drift);
            best = line.Power > best.Power ? line : best;
        }

        var detectorsSeen = counts.Count(count => count > 0);
        var tried = band.Cells * drifts * 2.0;
        var chance = tried * SpecialFunctions.GammaUpperRegularized(detectorsSeen, best.Power);
        if (!(chance < _settings.FalseLockProbability))
        {
            return null;
        }

        return Describe(times, detectors, step, band, best, chance);
    }

    private double[][] Collect(ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors, int step, in Band band, out int[] counts)
    {
        var sums = new double[_settings.Detectors][];
        counts = new int[_settings.Detectors];
        for (var i = 0; i < times.Length; i += step)
        {
            var detector = detectors[i];
            var sum = sums[detector] ??= new double[2 * band.Bins];
            var (time, bin) = band.Place(times[i]);
            var turns = time * _nominal;
            var (sin, cos) = Math.SinCos(-2 * Math.PI * (turns - Math.Floor(turns)));
            sum[2 * bin] += cos;
            sum[(2 * bin) + 1] += sin;
            counts[detector]++;
        }

        return sums;
    }

    private static Line Strongest(double[][] perDetector, int[] counts, in Band band, double drift)
    {
        var power = new double[band.Size];
        var values = new Complex[band.Size];
        for (var detector = 0; detector < perDetector.Length; detector++)
        {
            if (counts[detector] == 0)
            {
                continue;
            }

            var sums = perDetector[detector];
            Array.Clear(values);
            for (var bin = 0; bin < band.Bins; bin++)
            {
                var value = new Complex(sums[2 * bin], sums[(2 * bin) + 1]);
                var time = (bin + 0.5 - (band.Bins / 2.0)) * band.BinPicoseconds;
                values[bin] = drift == 0 || value == Complex.Zero ? value : value * Complex.FromPolarCoordinates(1, -Math.PI * drift * time * time);
            }

            Fourier.Forward(values, FourierOptions.NoScaling);
            var inverse = 1.0 / counts[detector];
            for (var i = 0; i < power.Length; i++)
            {
                power[i] += ((values[i].Real * values[i].Real) + (values[i].Imaginary * values[i].Imaginary)) * inverse;
            }
        }

        var best = 0;
        for (var i = 0; i < power.Length; i++)
        {
            if (power[i] > power[best] && band.Allows(i))
            {
                best = i;
            }
        }

        // A parabola through the top.
        var (left, top, right) = (power[(best + band.Size - 1) % band.Size], power[best], power[(best + 1) % band.Size]);
        var curve = left - (2 * top) + right;
        var shift = curve < 0 ? Math.Clamp(0.5 * (left - right) / curve, -0.5, 0.5) : 0;
        return new(top, band.Frequency(best + shift), drift);
    }

    private FoundFrequency Describe(ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors, int step, in Band band, Line line, double chance)
    {
        // The phase at the middle: there the frequency is the mean one whatever the drift.
        var middle = times[0] + (long)(band.Length / 2);
        var frequency = _nominal + line.Frequency;
        var sums = new Complex[_settings.Detectors];
        var counts = new int[_settings.Detectors];
        for (var i = 0; i < times.Length; i += step)
        {
            double dt = times[i] - middle;
            var position = dt * (frequency + (0.5 * line.Drift * dt));
            sums[detectors[i]] += Complex.FromPolarCoordinates(1, 2 * Math.PI * (position - Math.Floor(position)));
            counts[detectors[i]]++;
        }

        // The strongest detector gives the common phase; the others keep their distance from it, -½ to ½.
        var first = Enumerable.Range(0, sums.Length).MaxBy(d => counts[d] == 0 ? 0 : sums[d].Magnitude);
        var common = sums[first].Phase / (2 * Math.PI);
        var offsets = new double[sums.Length];
        for (var d = 0; d < sums.Length; d++)
        {
            if (counts[d] >= 30)
            {
                offsets[d] = Wrap((sums[d].Phase / (2 * Math.PI)) - common);
            }
        }

        var fraction = -common - Math.Floor(-common);
        return new(new SlotClock(middle, 0, fraction, frequency, line.Drift), offsets, 1 / band.Length, chance);
    }

    private static double Wrap(double slots) => slots - Math.Round(slots);

    private readonly record struct Line(double Power, double Frequency, double Drift);

    /// <summary>The band that is looked at, its bins in time and its cells in frequency.</summary>
    private readonly struct Band
    {
        private readonly long _start;
        private readonly double _halfWidth;

        public Band(long start, double length, double nominal, double deviation)
        {
            _start = start;
            Length = length;
            _halfWidth = nominal * deviation;

            // At the edge of the band a bin is a quarter turn, and still adds up to 90 % of the amplitude.
            BinPicoseconds = 0.25 / _halfWidth;
            Bins = (int)(length / BinPicoseconds) + 1;
            Size = (int)BitOperations.RoundUpToPowerOf2((uint)(2 * Bins));
            Cells = 2 * _halfWidth * length;
        }

        public double Length { get; }

        public double BinPicoseconds { get; }

        public int Bins { get; }

        /// <summary>Cells of the transform: at least two for each that is independent.</summary>
        public int Size { get; }

        /// <summary>Independent frequencies in the band.</summary>
        public double Cells { get; }

        public (double Time, int Bin) Place(long time)
        {
            double since = time - _start;
            return (since, (int)(since / BinPicoseconds));
        }

        public double Frequency(double cell) => (cell > Size / 2.0 ? cell - Size : cell) / (Size * BinPicoseconds);

        public bool Allows(int cell) => Math.Abs(Frequency(cell)) <= _halfWidth;
    }
}

/// <summary>A slot frequency found in arrival times.</summary>
/// <param name="Clock">The clock around the middle of the stretch; slot 0 is there.</param>
/// <param name="DetectorOffsets">How much later than that each detector's clicks come, in slots, -½ to ½.</param>
/// <param name="FrequencyError">Largest error of the frequency, in slots a picosecond.</param>
/// <param name="Chance">Probability of such a line anywhere in the search without light.</param>
internal sealed record FoundFrequency(SlotClock Clock, double[] DetectorOffsets, double FrequencyError, double Chance);

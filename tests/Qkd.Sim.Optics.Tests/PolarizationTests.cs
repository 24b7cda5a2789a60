using Shouldly;

namespace Qkd.Sim.Optics.Tests;

public sealed class PolarizationTests
{
    [Fact]
    public void Paddles_can_undo_any_rotation_of_the_fibre()
    {
        var settings = new OpticsSettings { Channel = new() { DriftRadiansPerRootSecond = 0 } };
        var aligned = Error(new OpticalLine(Emission.Aligned, 0));
        for (var seed = 1UL; seed <= 20; seed++)
        {
            var line = new OpticalLine(settings, seed);
            Search(line, seed, aligned + 0.002).ShouldBeLessThan(aligned + 0.002, $"seed {seed}");
        }
    }

    [Fact]
    public void Fibres_of_different_seeds_turn_polarization_differently_and_the_same_seed_alike()
    {
        var errors = Enumerable.Range(1, 50).Select(seed => Error(new OpticalLine(new(), (ulong)seed))).ToArray();
        errors.Distinct().Count().ShouldBe(50);
        Error(new OpticalLine(new(), 7)).ShouldBe(errors[6]);

        // Over all rotations the component along its axis is even within -1 to 1: the error of a basis has the mean 1/2 and the deviation 0.29.
        errors.Average().ShouldBeWithinFiveSigma(0.5, 0.29 / Math.Sqrt(50), "mean error of random fibres");
    }

    [Fact]
    public void A_retarder_turns_the_sphere_about_its_axis()
    {
        // A half-wave plate at 22.5 degrees turns H into D and D into H; a quarter-wave plate at 45 degrees turns H to a pole and leaves D.
        var half = Rotation.Retarder(0.5, 22.5);
        half.Apply(new(1, 0, 0)).S2.ShouldBe(1, 1e-12);
        half.Apply(new(0, 1, 0)).S1.ShouldBe(1, 1e-12);
        var quarter = Rotation.Retarder(0.25, 45);
        Math.Abs(quarter.Apply(new(1, 0, 0)).S3).ShouldBe(1, 1e-12);
        quarter.Apply(new(0, 1, 0)).S2.ShouldBe(1, 1e-12);
        Math.Abs((quarter * quarter).Apply(new(1, 0, 0)).S1 + 1).ShouldBeLessThan(1e-12);
    }

    [Fact]
    public void Drift_grows_with_the_square_root_of_time()
    {
        // A walk of s radians per root second and axis turns S1 by sqrt(2) s sqrt(t) off its place, so 1 - S1 has the mean s^2 t for small angles.
        const double speed = 0.02;
        foreach (var seconds in new[] { 1, 4 })
        {
            var off = new double[400];
            for (var seed = 0; seed < off.Length; seed++)
            {
                var fibre = new FibreRotation(new() { RandomRotation = false, DriftStepPicoseconds = 10_000_000_000 }, (ulong)seed);
                fibre.Advance(seconds * 1_000_000_000_000L, speed).ShouldBeTrue();
                off[seed] = 1 - fibre.Through(Rotation.Identity).Apply(new(1, 0, 0)).S1;
            }

            // 1 - S1 is exponentially distributed: its deviation is its mean. The cosine's next term is 1 % at these angles or less.
            var mean = speed * speed * seconds;
            off.Average().ShouldBeWithinFiveSigma(mean, 1.02 * mean / Math.Sqrt(off.Length), $"after {seconds} s");
        }
    }

    [Fact]
    public void Frozen_drift_leaves_the_fibre_as_it_is()
    {
        var fibre = new FibreRotation(new(), 5);
        var before = fibre.Through(Rotation.Identity);
        fibre.Advance(10_000_000_000_000, 0).ShouldBeFalse();
        fibre.Through(Rotation.Identity).ShouldBe(before);
        fibre.Advance(10_001_000_000_000, 0.01).ShouldBeTrue();
        fibre.Through(Rotation.Identity).ShouldNotBe(before);
    }

    [Fact]
    public void Drift_raises_the_errors_while_light_passes()
    {
        var emission = new Emission(Emission.Aligned with { Channel = Emission.Aligned.Channel with { DriftRadiansPerRootSecond = 1 } }, 3);
        var before = Error(emission.Line);
        emission.Send(20_000_000);
        Error(emission.Line).ShouldBeGreaterThan(before + 0.01);
    }

    /// <summary>Error rate of single signal photons, the mean of both bases.</summary>
    private static double Error(OpticalLine line)
    {
        var error = 0.0;
        for (var basis = 0; basis < 2; basis++)
        {
            var (wrong, all) = (0.0, 0.0);
            for (var bit = 0; bit < 2; bit++)
            {
                var right = line.MeanPhotoelectrons(0, basis, bit, (2 * basis) + bit);
                var other = line.MeanPhotoelectrons(0, basis, bit, (2 * basis) + 1 - bit);
                (wrong, all) = (wrong + other, all + other + right);
            }

            error += wrong / all / 2;
        }

        return error;
    }

    /// <summary>Descends along the three angles from random starts, within the range of the paddles.</summary>
    private static double Search(OpticalLine line, ulong seed, double goal)
    {
        var random = new Random((int)seed);
        var best = 1.0;
        for (var start = 0; start < 40 && best >= goal; start++)
        {
            for (var paddle = 0; paddle < 3; paddle++)
            {
                line.PaddleAngles[paddle] = 170 * random.NextDouble();
            }

            var error = Error(line);
            for (var step = 32.0; step > 0.05; step /= 2)
            {
                for (var improved = true; improved;)
                {
                    improved = false;
                    for (var move = 0; move < 6; move++)
                    {
                        var old = line.PaddleAngles[move / 2];
                        line.PaddleAngles[move / 2] = Math.Clamp(old + (move % 2 == 0 ? step : -step), 0, 170);
                        var now = Error(line);
                        if (now < error)
                        {
                            (error, improved) = (now, true);
                        }
                        else
                        {
                            line.PaddleAngles[move / 2] = old;
                        }
                    }
                }
            }

            best = Math.Min(best, error);
        }

        return best;
    }
}

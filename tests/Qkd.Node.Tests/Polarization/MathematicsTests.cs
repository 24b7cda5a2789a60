using Qkd.Node.Polarization;
using Shouldly;

namespace Qkd.Node.Tests.Polarization;

public sealed class MathematicsTests
{
    [Fact]
    public void Contrasts_are_differences_over_sums_of_the_right_counts()
    {
        // Sent H, V, D, A (rows), clicks in H, V, D, A (columns).
        long[] clicks =
        [
            90, 10, 60, 40,
            30, 70, 20, 80,
            50, 50, 100, 0,
            25, 75, 20, 80,
        ];
        var seen = Contrasts.FromClicks(clicks);
        seen.ZtoZ.ShouldBe((90 + 70 - 10 - 30) / 200.0, 1e-12);
        seen.ZtoX.ShouldBe((60 + 80 - 40 - 20) / 200.0, 1e-12);
        seen.XtoZ.ShouldBe((50 + 75 - 50 - 25) / 200.0, 1e-12);
        seen.XtoX.ShouldBe((100 + 80 - 0 - 20) / 200.0, 1e-12);
        seen.ErrorZ.ShouldBe(0.2, 1e-12);
        seen.ErrorX.ShouldBe(0.1, 1e-12);
        seen.Sigma.ShouldBe(1 / Math.Sqrt(200), 1e-12);
    }

    [Fact]
    public void Without_clicks_nothing_is_known()
    {
        var seen = Contrasts.FromClicks(new long[16]);
        seen.ErrorZ.ShouldBe(0.5);
        seen.ErrorX.ShouldBe(0.5);
        seen.Sigma.ShouldBe(1);
    }

    [Fact]
    public void A_half_wave_plate_at_an_angle_mirrors_linear_polarization_about_it()
    {
        // At 22.5 degrees H becomes D: the sphere's axis 1 goes to axis 2.
        var plate = Rotation.Retarder(22.5, 0.5);
        plate.ZtoZ.ShouldBe(0, 1e-12);
        plate.ZtoX.ShouldBe(1, 1e-12);
        plate.XtoZ.ShouldBe(1, 1e-12);
        plate.XtoX.ShouldBe(0, 1e-12);
    }

    [Fact]
    public void A_quarter_wave_plate_at_0_leaves_H_and_makes_D_circular()
    {
        var plate = Rotation.Retarder(0, 0.25);
        plate.ZtoZ.ShouldBe(1, 1e-12);
        plate.XtoX.ShouldBe(0, 1e-12);
        plate.XtoZ.ShouldBe(0, 1e-12);
    }

    [Fact]
    public void A_rotation_and_its_vector_belong_together()
    {
        var random = new Random(3);
        for (var i = 0; i < 200; i++)
        {
            var (x, y, z) = (random.NextDouble() - 0.5, random.NextDouble() - 0.5, random.NextDouble() - 0.5);
            var length = Math.Sqrt((x * x) + (y * y) + (z * z));
            var angle = random.NextDouble() * 3.1;
            var (a, b, c) = (x * angle / length, y * angle / length, z * angle / length);
            var other = Rotation.About(c, a, b);
            var (p, q, r) = (Rotation.About(a, b, c) * other).TurnFrom(other);
            p.ShouldBe(a, 1e-9);
            q.ShouldBe(b, 1e-9);
            r.ShouldBe(c, 1e-9);
        }
    }

    [Fact]
    public void Least_squares_finds_the_bottom_of_a_curved_valley()
    {
        // Rosenbrock's function (1960): the minimum 0 at (1, 1), at the end of a narrow bent valley.
        double[] at = [-1.2, 1];
        var left = LeastSquares.Minimise(
            (p, r) =>
            {
                r[0] = 10 * (p[1] - (p[0] * p[0]));
                r[1] = 1 - p[0];
            },
            at,
            2,
            200);
        left.ShouldBeLessThan(1e-10);
        at[0].ShouldBe(1, 1e-4);
        at[1].ShouldBe(1, 1e-4);
    }

    [Fact]
    public void The_information_of_a_straight_line_is_known_in_closed_form()
    {
        // y = a + b t with unit variance at t = 0, 1, 2, 3: the matrix is (n, Σt; Σt, Σt²).
        double[] at = [0.5, -2];
        var information = LeastSquares.Information(
            (p, r) =>
            {
                for (var t = 0; t < 4; t++)
                {
                    r[t] = p[0] + (p[1] * t);
                }
            },
            at,
            4);
        information[0, 0].ShouldBe(4, 1e-6);
        information[0, 1].ShouldBe(6, 1e-6);
        information[1, 0].ShouldBe(6, 1e-6);
        information[1, 1].ShouldBe(14, 1e-6);
    }

    [Fact]
    public void A_matrix_that_is_not_positive_definite_is_not_solved()
    {
        LeastSquares.Solve(new double[,] { { 1, 2 }, { 2, 1 } }, [1, 1], new double[2]).ShouldBeFalse();
        var solution = new double[2];
        LeastSquares.Solve(new double[,] { { 4, 1 }, { 1, 3 } }, [1, 2], solution).ShouldBeTrue();
        solution[0].ShouldBe(1 / 11.0, 1e-12);
        solution[1].ShouldBe(7 / 11.0, 1e-12);
    }

    [Fact]
    public void Angles_stay_within_the_paddles_range()
    {
        SimulatedLine.Limits.Clamp(-3).ShouldBe(0);
        SimulatedLine.Limits.Clamp(171).ShouldBe(170);
        SimulatedLine.Limits.Clamp(85.5).ShouldBe(85.5);
    }
}

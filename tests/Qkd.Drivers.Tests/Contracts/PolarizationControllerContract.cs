using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Shouldly;

namespace Qkd.Drivers.Tests.Contracts;

/// <summary>What every driver of a slow polarization controller must do.</summary>
public abstract class PolarizationControllerContract : DeviceContract
{
    /// <summary>Where the actuators really are now, in their units.</summary>
    protected abstract IReadOnlyList<double> TruePositions { get; }

    [Fact]
    public async Task Opening_moves_nothing()
    {
        var before = TruePositions;
        await OpenControllerAsync();
        TruePositions.ShouldBe(before);
    }

    [Fact]
    public async Task Describes_its_actuators()
    {
        var controller = await OpenControllerAsync();
        controller.Actuators.Count.ShouldBe(TruePositions.Count);
        controller.Actuators.Select(actuator => actuator.Name).ShouldBeUnique();
        foreach (var actuator in controller.Actuators)
        {
            actuator.Unit.ShouldBeOneOf("deg", "V");
            actuator.Maximum.ShouldBeGreaterThan(actuator.Minimum);
            actuator.Resolution.ShouldBeInRange(double.Epsilon, actuator.Maximum - actuator.Minimum);
        }
    }

    [Fact]
    public async Task Moves_all_actuators_and_returns_when_they_have_arrived()
    {
        var controller = await OpenControllerAsync();
        foreach (var fractions in new[] { new[] { 0.0, 1.0, 0.5, 0.25 }, [1.0, 0.0, 0.3, 0.8], [0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5] })
        {
            var targets = Targets(controller, fractions);
            await controller.MoveAsync(targets, TestLimits.Token).WithinLimit();
            ShouldBeAt(controller, TruePositions, targets);
            ShouldBeAt(controller, await controller.GetPositionsAsync(TestLimits.Token).WithinLimit(), targets);
        }
    }

    [Fact]
    public async Task Moves_by_single_steps()
    {
        var controller = await OpenControllerAsync();
        var targets = Targets(controller, [0.4, 0.4, 0.4, 0.4]);
        await controller.MoveAsync(targets, TestLimits.Token).WithinLimit();
        for (var step = 0; step < 5; step++)
        {
            for (var index = 0; index < targets.Length; index++)
            {
                targets[index] += controller.Actuators[index].Resolution;
            }

            await controller.MoveAsync(targets, TestLimits.Token).WithinLimit();
            ShouldBeAt(controller, TruePositions, targets);
        }
    }

    [Fact]
    public async Task A_position_beyond_the_limits_is_refused_and_nothing_moves()
    {
        var controller = await OpenControllerAsync();
        var before = TruePositions;
        for (var index = 0; index < controller.Actuators.Count; index++)
        {
            var actuator = controller.Actuators[index];
            foreach (var outside in new[] { actuator.Minimum - actuator.Resolution, actuator.Maximum + actuator.Resolution, double.NaN })
            {
                var targets = Targets(controller, [0.9, 0.9, 0.9, 0.9]);
                targets[index] = outside;
                await Should.ThrowAsync<SettingOutOfRangeException>(
                    async () => await controller.MoveAsync(targets, TestLimits.Token).WithinLimit());
            }
        }

        TruePositions.ShouldBe(before);
    }

    [Fact]
    public async Task A_wrong_number_of_positions_is_refused()
    {
        var controller = await OpenControllerAsync();
        await Should.ThrowAsync<ArgumentException>(
            async () => await controller.MoveAsync(new double[controller.Actuators.Count + 1], TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task Homing_makes_every_position_known()
    {
        var controller = await OpenControllerAsync();
        await controller.HomeAsync(TestLimits.Token).WithinLimit();
        controller.PositionsKnown.ShouldBeTrue();
        ShouldBeAt(controller, await controller.GetPositionsAsync(TestLimits.Token).WithinLimit(), [.. TruePositions]);
    }

    [Fact]
    public async Task A_cancelled_movement_stops_short_and_the_next_one_works()
    {
        var controller = await OpenControllerAsync();
        await controller.MoveAsync(Targets(controller, [0.0, 0.0, 0.0, 0.0]), TestLimits.Token).WithinLimit();
        using var impatient = new CancellationTokenSource();
        var movement = controller.MoveAsync(Targets(controller, [1.0, 1.0, 1.0, 1.0]), impatient.Token);
        await TestLimits.UntilAsync(() => TruePositions.All(position => position > 0));
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(async () => await movement.WithinLimit());
        var stopped = TruePositions;
        stopped.Zip(controller.Actuators).ShouldAllBe(pair => pair.First < pair.Second.Maximum);
        TruePositions.ShouldBe(stopped);

        var targets = Targets(controller, [0.1, 0.1, 0.1, 0.1]);
        await controller.MoveAsync(targets, TestLimits.Token).WithinLimit();
        ShouldBeAt(controller, TruePositions, targets);
    }

    private static double[] Targets(IPolarizationController controller, double[] fractions) =>
        [.. controller.Actuators.Select((actuator, index) => actuator.Minimum + (fractions[index] * (actuator.Maximum - actuator.Minimum)))];

    private static void ShouldBeAt(IPolarizationController controller, IReadOnlyList<double> positions, double[] targets)
    {
        for (var index = 0; index < targets.Length; index++)
        {
            positions[index].ShouldBe(targets[index], controller.Actuators[index].Resolution);
        }
    }

    private async Task<IPolarizationController> OpenControllerAsync() => (IPolarizationController)await OpenAsync();
}
